"""Streams to learn from: stretches of footage put together anew, and their questions.

A chunk sees only itself, so a stretch can be shown at any time of day and, some time
later, a stretch of another world; what its visual features are does not change. The
windows that a stream was "watched" in are its stretches.

    G  streams   N  chunks of a stream   Q  questions of a stream   T  tokens
    A  tokens of an answer
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agent.vlm.prompt import Prompt
from agent.vlm.qwen3_vl import time_stamp
from ingest.simulation.questions import Question, QuestionType, Window, ask
from ingest.simulation.visit import Colour, Kind, Visit
from ingest.simulation.world import World
from training.footage import CHUNK_S, PAIRS_PER_CHUNK
from training.labels import NOW_KEY, look_key
from training.reading import Asked
from training.split import start_of

DAY_S = 86_400.0
_JOINED = 0.7  # of long streams, those made of several stretches
_STRETCH = (4, 17)  # chunks of each, then
_LONGEST_GAP_S = 10_800.0  # between two stretches
_SKEW_S = 0.25  # from a pair's first frame to the time it bears
WEIGHTS = {
    QuestionType.COLOUR: 1.0,
    QuestionType.KIND: 1.0,
    QuestionType.SIDE: 1.5,
    QuestionType.LEFT_TO: 1.2,
    QuestionType.WHEN: 2.0,
    QuestionType.SEEN: 1.5,
    QuestionType.NOT_SEEN: 0.6,
    QuestionType.PLATE: 1.5,
    QuestionType.NOW: 1.0,
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Chunks of one world without a break, shown from another time of day on.

    Attributes:
        world: Its number in the footage.
        first: Its first chunk there.
        chunks: How many.
        start_s: When it is shown.
    """

    world: int
    first: int
    chunks: int
    start_s: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """Streams of one length with their questions, ready for the model.

    Attributes:
        worlds: Of each chunk, (G, N).
        chunks: Number of each chunk in its world, (G, N).
        stamps: Second of the day of each frame pair, (G, N, pairs).
        asked: The questions with their answers.
        answers: The tokens wanted at `asked.answer_places`, -100 for none, (G, Q, A).
        types: Of each question, G lists of Q.
        keys: What each question is about (`labels.look_key`), 0 for none, (G, Q).
    """

    worlds: Tensor
    chunks: Tensor
    stamps: Tensor
    asked: Asked
    answers: Tensor
    types: list[list[QuestionType]]
    keys: Tensor


class Teacher:
    """Deals lessons, the same one for the same step."""

    def __init__(
        self,
        worlds: Sequence[int],
        chunks: int,
        tokenizer: PreTrainedTokenizerBase,
        seed: int,
    ) -> None:
        self._chunks, self.seed = chunks, seed
        self._tokenizer = tokenizer
        self._prompt = Prompt.of(tokenizer, frozenset())
        self._ids: dict[str, int] = tokenizer.get_vocab()
        self._plates = {self._ids[f"#{plate}"]: plate for plate in range(10, 100)}
        self._starts = [start_of(world) for world in worlds]
        self._visits = [
            World(world).visits(start_s, start_s + chunks * CHUNK_S)
            for world, start_s in zip(worlds, self._starts, strict=True)
        ]

    def deal(self, step: int, streams: int, chunks: int, questions: int) -> Lesson:
        """Give one lesson of `streams` streams of `chunks` chunks."""
        dealer = random.Random(self.seed * 1_000_003 + step)
        dealt = [self._deal_stream(dealer, chunks, questions) for _ in range(streams)]
        stretches = [stream for stream, _ in dealt]
        asked = [each for _, each in dealt]
        where = [
            [(s.world, s.first + n) for s in stream for n in range(s.chunks)]
            for stream in stretches
        ]
        at = torch.tensor(where)  # (G, N, 2)
        times = np.array(
            [
                s.start_s + np.arange(n, n + PAIRS_PER_CHUNK)
                for stream in stretches
                for s in stream
                for n in range(0, s.chunks * PAIRS_PER_CHUNK, PAIRS_PER_CHUNK)
            ]
        )
        stamps = torch.from_numpy(np.floor(times + _SKEW_S).astype(np.int64))
        stamps = stamps.view(streams, chunks, PAIRS_PER_CHUNK)
        written, answers, keys = self._write(asked, stretches, dealer)
        types = [[question.type for question in each] for each in asked]
        return Lesson(at[..., 0], at[..., 1], stamps, written, answers, types, keys)

    def _deal_stream(
        self, dealer: random.Random, chunks: int, questions: int
    ) -> tuple[list[Stretch], list[Question]]:
        while True:
            stream = self._deal_stretches(dealer, chunks)
            visits = [visit for s in stream for visit in self._shift(s)]
            windows: list[Window] = [
                (s.start_s, s.start_s + s.chunks * CHUNK_S) for s in stream
            ]
            asked = deal_questions(visits, windows, questions, dealer)
            if any(question.type is QuestionType.SIDE for question in asked):
                return stream, asked

    def _deal_stretches(self, dealer: random.Random, chunks: int) -> list[Stretch]:
        start_s = dealer.uniform(0, DAY_S)
        stream, left = [], chunks
        is_joined = chunks >= 2 * _STRETCH[0] and dealer.random() < _JOINED
        is_joined = is_joined or chunks > self._chunks
        while left:
            count = min(left, dealer.randrange(*_STRETCH)) if is_joined else left
            if left - count < _STRETCH[0]:
                count = left
            world = dealer.randrange(len(self._starts))
            first = dealer.randrange(self._chunks - count + 1)
            stream.append(Stretch(world, first, count, start_s))
            gap_s = math.exp(dealer.uniform(0, math.log(_LONGEST_GAP_S)))
            start_s += count * CHUNK_S + gap_s
            left -= count
        return stream

    def _shift(self, stretch: Stretch) -> list[Visit]:
        """Give the visits that a stretch overlaps, at the time it is shown."""
        began_s = self._starts[stretch.world] + stretch.first * CHUNK_S
        ended_s = began_s + stretch.chunks * CHUNK_S
        by_s = stretch.start_s - began_s
        return [
            replace(
                visit,
                path=tuple(replace(p, time_s=p.time_s + by_s) for p in visit.path),
            )
            for visit in self._visits[stretch.world]
            if visit.enter_s < ended_s and visit.leave_s > began_s
        ]

    def _write(
        self,
        asked: list[list[Question]],
        streams: list[list[Stretch]],
        dealer: random.Random,
    ) -> tuple[Asked, Tensor, Tensor]:
        """Write questions as tokens; give the wanted tokens and the keys, too."""
        rows = [
            self._encode(question, stream, dealer)
            for each, stream in zip(asked, streams, strict=True)
            for question in each
        ]
        tokens = max(len(row.text) + len(row.answer) for row in rows)
        length = max(len(row.answer) for row in rows)
        ids = np.full((len(rows), tokens), self._tokenizer.pad_token_id)
        places = np.zeros((len(rows), length), np.int64)
        answers = np.full((len(rows), length), -100)
        for number, row in enumerate(rows):
            count = len(row.answer)
            ids[number, : len(row.text) + count] = row.text + row.answer
            places[number, :count] = len(row.text) - 1 + np.arange(count)
            answers[number, :count] = row.answer
        keys = np.array([(row.key, row.key_place) for row in rows])
        shape = (len(asked), len(asked[0]), -1)
        ids_, places_, answers_, keys_ = (
            torch.from_numpy(part).view(shape) for part in (ids, places, answers, keys)
        )
        return Asked(ids_, places_, keys_[..., 1]), answers_, keys_[..., 0]

    def _encode(
        self, question: Question, stream: list[Stretch], dealer: random.Random
    ) -> "_Written":
        answer = question.answer
        if question.type is QuestionType.WHEN:  # any moment of the visit will do
            moment_s = dealer.uniform(question.holds[0], question.holds[1] - 1)
            start_s = max(s.start_s for s in stream if s.start_s <= moment_s)
            pair = math.floor(moment_s - start_s)
            answer = time_stamp(start_s + pair + _SKEW_S)
        prompt, encode = self._prompt, self._tokenizer.encode
        text = encode(f"{prompt.between}{question.text}{prompt.after}")
        key, place = self._find_key(question, text)
        return _Written(
            text, [*encode(answer), self._tokenizer.eos_token_id], key, place
        )

    def _find_key(self, question: Question, text: list[int]) -> tuple[int, int]:
        """Give the key of a question and the token that names it."""
        if question.type is QuestionType.NOW:
            return NOW_KEY, text.index(self._ids["now"])
        for place, token in enumerate(text):
            if token in self._plates:
                return self._plates[token], place
        words = question.text.rstrip("?").split()
        kinds, colours = list(map(str, Kind)), list(map(str, Colour))
        found = [(kinds.index(w), w) for w in words if w in kinds]
        hues = [colours.index(w) for w in words if w in colours]
        if not (found and hues):
            return 0, 0
        (kind, word), colour = found[0], hues[0]
        return look_key(1 + kind, 1 + colour), text.index(self._ids[word])


@dataclass(frozen=True, slots=True)
class _Written:
    text: list[int]
    answer: list[int]
    key: int
    key_place: int


def deal_questions(
    visits: Sequence[Visit],
    windows: Sequence[Window],
    count: int,
    dealer: random.Random,
) -> list[Question]:
    """Ask so many questions about a stream, of all types by their weights."""
    asked: list[Question] = []
    types, weights = list(WEIGHTS), list(WEIGHTS.values())
    while len(asked) < count:
        type = dealer.choices(types, weights)[0]
        question = ask(visits, windows, type, dealer)
        if question is not None:
            asked.append(question)
    return asked
