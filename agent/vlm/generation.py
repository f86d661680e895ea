"""Decode an answer over a composed cache, token by token.

Greedy unless asked otherwise: an answer about what was seen should be the same every
time it is asked. `sampling.py` has the other ways.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.vlm.batch import Batch
from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import GREEDY, Sampling, choose_by
from memory.rehydration import MixedCache

Turn = tuple[str, str]
"""A question and its answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A question, and what it is asked over.

    Attributes:
        cache: Composed with `decode_room` tokens of room; written to if read alone.
        question: The question's text.
        max_new_tokens: Most tokens of the answer.
        is_cancelled: Asked before every token; decoding ends when it says so.
        sampling: How each token is chosen.
        earlier: Questions before it and their answers, oldest first.
        note: Told each token as it is chosen, the stop token too, and the logits it was
            chosen from, (vocabulary,), float32, before any temperature.
    """

    cache: MixedCache
    question: str
    max_new_tokens: int
    is_cancelled: Callable[[], bool] = lambda: False
    sampling: Sampling = GREEDY
    earlier: Sequence[Turn] = ()
    note: Callable[[int, Tensor], None] = lambda *_: None


def decode(model: VisionLanguageModel, reader: Reader) -> Iterator[int]:
    """Yield the ids of an answer's tokens, the stop token left out."""
    for _, token in decode_together(model, [reader]):
        if token is not None:
            yield token


def decode_together(
    model: VisionLanguageModel, readers: Sequence[Reader]
) -> Iterator[tuple[int, int | None]]:
    """Decode answers side by side, each as if alone.

    A reader that has said all takes part, unheard, until the last one has.

    Yields:
        The number of a reader and the id of its next token, the stop token left out;
        once for each reader None, when it has said all.
    """
    choices = [choose_by(reader.sampling, model.device) for reader in readers]
    ids = [question_ids(model, reader.question, reader.earlier) for reader in readers]
    most = max(reader.max_new_tokens for reader in readers)
    batch = Batch.of([r.cache for r in readers], room=max(map(len, ids)) + most)
    going = dict(enumerate(readers))
    for said in range(most):
        for number, reader in list(going.items()):
            if said == reader.max_new_tokens or reader.is_cancelled():
                del going[number]
                yield number, None
        if not going:
            return
        logits = model.extend_batch(batch, ids)  # (B, vocabulary)
        ids = [text[-1:] for text in ids]
        for number in list(going):
            token = choices[number](logits[number])
            readers[number].note(token, logits[number])
            ids[number] = torch.tensor([token])
            if token in model.prompt.stop_ids:
                del going[number]
            yield number, token if number in going else None
    for number in going:
        yield number, None


def question_ids(
    model: VisionLanguageModel, question: str, earlier: Sequence[Turn] = ()
) -> torch.Tensor:
    """Give the ids of a question with the template around it, (S,).

    Earlier questions and answers stand before it as the template has turns.
    """
    prompt, plain = model.prompt, model.plain
    turns = [
        f"{plain(asked)}{prompt.answered}{plain(said)}{prompt.again}"
        for asked, said in earlier
    ]
    text = "".join([prompt.between, *turns, plain(question), prompt.after])
    return model.tokenize(text)


def decode_room(
    model: VisionLanguageModel,
    question: str,
    max_new_tokens: int,
    earlier: Sequence[Turn] = (),
) -> int:
    """Give the tokens of room that `decode` needs behind what it reads."""
    return len(question_ids(model, question, earlier)) + max_new_tokens


def text_of(model: VisionLanguageModel, ids: Sequence[int]) -> str:
    """Give the text of an answer's tokens."""
    text = model.tokenizer.decode(list(ids), skip_special_tokens=True)
    return str(text).strip()


def text_so_far(model: VisionLanguageModel, ids: Sequence[int]) -> str:
    """Give the text of an answer's first tokens, without half a character at its end.

    A token may be a part of the bytes of a character: it shows as U+FFFD until the
    others have come.
    """
    return text_of(model, ids).rstrip("\ufffd").rstrip()
