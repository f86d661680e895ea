"""Yes or no, with a margin: how much more likely one first word is than the other.

One run of the question over what is read; nothing is decoded. The probability of an
answer is the sum over the ways in which a tokenizer may write it; one that is several
tokens counts with the probability of them all.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from agent.vlm.generation import Reader, question_ids
from agent.vlm.model import VisionLanguageModel
from memory.rehydration import MixedCache

_YES = ("yes", "Yes", "YES", " yes", " Yes")
_NO = ("no", "No", "NO", " no", " No")

Words = tuple[int, ...]
"""The token ids of one way to write an answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model says to a question of yes or no.

    Attributes:
        log_yes: Log-probability that its answer begins with yes.
        log_no: Log-probability that it begins with no.
    """

    log_yes: float
    log_no: float

    @property
    def log_odds(self) -> float:
        """Above 0 is yes, below is no; the further away, the surer."""
        return self.log_yes - self.log_no

    @property
    def mass(self) -> float:
        """How likely it is that the answer is one of both at all, 0 to 1."""
        return math.exp(self.log_yes) + math.exp(self.log_no)


@dataclass(frozen=True, slots=True)
class YesNo:
    """The ways in which a model's tokenizer writes both answers.

    Attributes:
        yes: Those of yes; none begins with another.
        no: Likewise.
    """

    yes: tuple[Words, ...]
    no: tuple[Words, ...]

    @classmethod
    def of(cls, model: VisionLanguageModel) -> "YesNo":
        """Ask a model's tokenizer.

        Raises:
            ValueError: It writes both the same way, as an unknown word.
        """
        yes, no = ({_ids(model, text) for text in texts} for texts in (_YES, _NO))
        both = yes & no
        if not (yes - both and no - both):
            raise ValueError(f"the tokenizer of {model.name} can't tell yes from no")
        return cls(_shortest(yes - both), _shortest(no - both))

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest of them."""
        return max(len(words) for words in (*self.yes, *self.no))


@torch.inference_mode()
def judge(model: VisionLanguageModel, reader: Reader, words: YesNo) -> Verdict:
    """Give a model's verdict on a question.

    The cache is as before afterwards: what it is asked next does not see this question.

    Args:
        model: The model.
        reader: The question and what it is asked over; nothing else of it is used. Its
            cache has room for the question and `words.most_tokens`.
        words: Of the model.
    """
    cache = reader.cache
    before = cache.num_tokens, cache.next_position
    try:
        logits = model.extend(cache, question_ids(model, reader.question))
        first = logits.log_softmax(dim=-1)  # (vocabulary,)
        return Verdict(
            _log_sum(_log_prob(model, cache, first, each) for each in words.yes),
            _log_sum(_log_prob(model, cache, first, each) for each in words.no),
        )
    finally:
        cache.num_tokens, cache.next_position = before


def judge_room(model: VisionLanguageModel, question: str, words: YesNo) -> int:
    """Give the tokens of room that `judge` needs behind what is read."""
    return len(question_ids(model, question)) + words.most_tokens


def _log_prob(
    model: VisionLanguageModel, cache: MixedCache, first: Tensor, words: Words
) -> float:
    """Give the log-probability of tokens, the first one's being known."""
    before = cache.num_tokens, cache.next_position
    found = float(first[words[0]])
    for said, token in pairwise(words):
        after = model.extend(cache, torch.tensor([said])).log_softmax(dim=-1)
        found += float(after[token])
    cache.num_tokens, cache.next_position = before
    return found


def _log_sum(logs: Iterable[float]) -> float:
    return float(torch.tensor(list(logs)).logsumexp(dim=0))


def _ids(model: VisionLanguageModel, text: str) -> Words:
    return tuple(model.tokenize(text).tolist())


def _shortest(ways: Iterable[Words]) -> tuple[Words, ...]:
    """Leave out what begins with another: it is counted there."""
    found: list[Words] = []
    for words in sorted(ways, key=len):
        if words and not any(_begins(words, shorter) for shorter in found):
            found.append(words)
    return tuple(sorted(found))


def _begins(words: Words, shorter: Sequence[int]) -> bool:
    return words[: len(shorter)] == tuple(shorter)
