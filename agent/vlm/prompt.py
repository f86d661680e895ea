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
_ANSWER, _NEXT = "@@answer@@", "@@next@@"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A chat template cut at the video and at the question.

    Attributes:
        before: Text before the first chunk.
        between: Text between the last chunk and the question.
        after: Text after the question, up to where the answer begins.
        answered: The same of an earlier question, up to the answer that it got.
        again: Text between such an answer and the next question.
        stop_ids: Tokens that end an answer.
    """

    before: str
    between: str
    after: str
    answered: str
    again: str
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
        if turn is not None:
            asked = [{"type": "video"}, {"type": "text", "text": _QUESTION}]
        messages = [
            {"role": "system", "content": _content(SYSTEM, turn)},
            {"role": "user", "content": asked},
        ]
        text = _render(tokenizer, messages, turn)
        before, found, rest = text.partition(turn.marker if turn else _VIDEO)
        between, found_too, after = rest.partition(_QUESTION)
        if not (found and found_too):
            raise ValueError("the chat template does not show video and question")
        messages += [
            {"role": "assistant", "content": _content(_ANSWER, turn)},
            {"role": "user", "content": _content(_NEXT, turn)},
        ]
        _, _, rest = _render(tokenizer, messages, turn).partition(_QUESTION)
        answered, found, rest = rest.partition(_ANSWER)
        again, found_too, _ = rest.partition(_NEXT)
        if not (found and found_too):
            raise ValueError("the chat template does not show a second question")
        between = (turn.after if turn else "") + between
        return cls(before, between, after, answered, again, stop_ids)


def _content(text: str, turn: VideoTurn | None) -> Any:
    return text if turn is None else [{"type": "text", "text": text}]


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: list[dict[str, Any]],
    turn: VideoTurn | None,
) -> str:
    text = tokenizer.apply_chat_template(
        messages,
        chat_template=None if turn is None else turn.template,
        tokenize=False,
        add_generation_prompt=True,
    )
    return str(text)
