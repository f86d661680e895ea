"""Decode an answer over a composed cache, token by token.

Greedy unless asked otherwise: an answer about what was seen should be the same every
time it is asked. `sampling.py` has the other ways.
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import GREEDY, Sampling, choose_by
from memory.rehydration import MixedCache


def decode(
    model: VisionLanguageModel,
    cache: MixedCache,
    question: str,
    max_new_tokens: int,
    is_cancelled: Callable[[], bool],
    sampling: Sampling = GREEDY,
) -> Iterator[int]:
    """Yield the ids of an answer's tokens, the stop token left out.

    Args:
        model: The model.
        cache: Composed with `decode_room` tokens of room; written to.
        question: The question's text.
        max_new_tokens: Most tokens of the answer.
        is_cancelled: Asked before every token; decoding ends when it says so.
        sampling: How each token is chosen.
    """
    choose = choose_by(sampling, model.device)
    ids = question_ids(model, question)
    for _ in range(max_new_tokens):
        if is_cancelled():
            return
        token = choose(model.extend(cache, ids))
        if token in model.prompt.stop_ids:
            return
        yield token
        ids = torch.tensor([token])


def question_ids(model: VisionLanguageModel, question: str) -> torch.Tensor:
    """Give the ids of a question with the template around it, (S,)."""
    prompt = model.prompt
    text = model.plain(question)
    return model.tokenize(f"{prompt.between}{text}{prompt.after}")


def decode_room(model: VisionLanguageModel, question: str, max_new_tokens: int) -> int:
    """Give the tokens of room that `decode` needs behind what it reads."""
    return len(question_ids(model, question)) + max_new_tokens


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
