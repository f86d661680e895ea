"""The words around what a camera saw: before the first chunk and after the last.

Cut out of the model's own chat template, so that a question over re-hydrated memory
reads the same as one plain call of the model.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from agent.vlm.family import VideoTurn

SYSTEM = "You watch a security camera. Answer in a few words from what it saw."
_VIDEO, _QUESTION = "@@video@@", "@@question@@"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A chat template cut at the video and at the question.

    Attributes:
        before: Text before the first chunk.
        between: Text between the last chunk and the question.
        after: Text after the question, up to where the answer begins.
        stop_ids: Tokens that end an answer.
    """

    before: str
    between: str
    after: str
    stop_ids: frozenset[int]

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        stop_ids: frozenset[int],
        turn: VideoTurn | None = None,
    ) -> "Prompt":
        """Cut a chat template, the tokenizer's or the family's own.

        Args:
            tokenizer: The model's.
            stop_ids: Tokens that end an answer.
            turn: How the template shows a video; None if text can stand there.

        Raises:
            ValueError: The template does not show both in this order.
        """
        asked: Any = _VIDEO + _QUESTION
        system: Any = SYSTEM
        if turn is not None:
            asked = [{"type": "video"}, {"type": "text", "text": _QUESTION}]
            system = [{"type": "text", "text": SYSTEM}]
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": asked},
        ]
        text = tokenizer.apply_chat_template(
            messages,
            chat_template=None if turn is None else turn.template,
            tokenize=False,
            add_generation_prompt=True,
        )
        before, found, rest = str(text).partition(turn.marker if turn else _VIDEO)
        between, found_too, after = rest.partition(_QUESTION)
        if not (found and found_too):
            raise ValueError("the chat template does not show video and question")
        return cls(before, (turn.after if turn else "") + between, after, stop_ids)
