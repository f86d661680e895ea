"""The words around what a camera saw: before the first chunk and after the last.

Cut out of the model's own chat template, so that a question over re-hydrated memory
reads the same as one plain call of the model.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

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
        cls, tokenizer: PreTrainedTokenizerBase, stop_ids: frozenset[int]
    ) -> "Prompt":
        """Cut a tokenizer's chat template.

        Raises:
            ValueError: The template does not show both in this order.
        """
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": _VIDEO + _QUESTION},
        ]
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        before, found, rest = str(text).partition(_VIDEO)
        between, found_too, after = rest.partition(_QUESTION)
        if not (found and found_too):
            raise ValueError("the chat template does not show video and question")
        return cls(before, between, after, stop_ids)
