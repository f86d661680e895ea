"""Streams to learn from: stretches of footage put together anew, and their questions.

A chunk sees only itself, so a stretch can be shown at any time of day and next to a
stretch of another world; what its visual features are does not change. The windows that
a stream was "watched" in are its stretches.

    G  streams   N  chunks of a stream   Q  questions of a stream   T  tokens
    A  tokens of an answer
"""

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
from ingest.simulation.visit import Visit
from ingest.simulation.world import World
from training.footage import CHUNK_S, PAIRS_PER_CHUNK
from training.split import start_of

DAY_S = 86_400.0
_JOINED = 0.5  # of long streams, those made of several stretches
_STRETCH = (4, 17)  # chunks of each, then
_SKEW_S = 0.25  # from a pair's first frame to the time it bears
WEIGHTS = {
    QuestionType.COLOUR: 1.0,
    QuestionType.KIND: 1.0,
    QuestionType.SIDE: 1.5,
    QuestionType.LEFT_TO: 0.8,
    QuestionType.WHEN: 1.5,
    QuestionType.SEEN: 1.5,
    QuestionType.NOT_SEEN: 0.6,
    QuestionType.PLATE: 0.8,
    QuestionType.ORDER: 0.6,
    QuestionType.COUNT: 0.3,
    QuestionType.NOW: 0.4,
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
        question_ids: With answers, padded, (G, Q, T).
        answer_places: The tokens before those of the answer, (G, Q, A).
        answers: The tokens wanted there, -100 where there is none, (G, Q, A).
        types: Of each question, G lists of Q.
        plates: The first plate that each question names, 0 for none, (G, Q).
        plate_places: Its token, (G, Q).
    """

    worlds: Tensor
    chunks: Tensor
    stamps: Tensor
    question_ids: Tensor
    answer_places: Tensor
    answers: Tensor
    types: list[list[QuestionType]]
    plates: Tensor
    plate_places: Tensor


class Teacher:
    """Deals lessons, the same one for the same step."""

    def __init__(
        self,
        worlds: Sequence[int],
        chunks: int,
        tokenizer: PreTrainedTokenizerBase,
        seed: int,
    ) -> None:
        self._chunks, self._seed = chunks, seed
        self._tokenizer = tokenizer
        self._prompt = Prompt.of(tokenizer, frozenset())
        self._plate_of = torch.zeros(len(tokenizer), dtype=torch.long)
        for plate in range(10, 100):
            self._plate_of[tokenizer.get_vocab()[f"#{plate}"]] = plate
        self._starts = [start_of(world) for world in worlds]
        self._visits = [
            World(world).visits(start_s, start_s + chunks * CHUNK_S)
            for world, start_s in zip(worlds, self._starts, strict=True)
        ]

    def deal(self, step: int, streams: int, chunks: int, questions: int) -> Lesson:
        """Give one lesson of `streams` streams of `chunks` chunks."""
        dealer = random.Random(self._seed * 1_000_003 + step)
        dealt = [self._deal_stream(dealer, chunks, questions) for _ in range(streams)]
        stretches = [stream for stream, _ in dealt]
        asked = [each for _, each in dealt]
        where = [
            [(s.world, s.first + n) for s in stream for n in range(s.chunks)]
            for stream in stretches
        ]
        at = torch.tensor(where)  # (G, N, 2)
        starts = torch.tensor([stream[0].start_s for stream in stretches])
        offsets = torch.arange(chunks * PAIRS_PER_CHUNK, dtype=torch.float64)
        times = starts[:, None].double() + offsets + _SKEW_S
        stamps = times.floor().long().view(streams, chunks, PAIRS_PER_CHUNK)
        ids, places, answers = self._write(asked, stretches)
        types = [[question.type for question in each] for each in asked]
        named = self._plate_of[ids] * (torch.arange(ids.shape[2]) < places[..., :1])
        plate_places = (named > 0).long().argmax(dim=2)  # (G, Q)
        plates = named.gather(2, plate_places[..., None]).squeeze(2)
        return Lesson(
            at[..., 0],
            at[..., 1],
            stamps,
            ids,
            places,
            answers,
            types,
            plates,
            plate_places,
        )

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
        start_s = dealer.uniform(0, DAY_S - 1200)
        stream, left = [], chunks
        is_joined = chunks >= 2 * _STRETCH[0] and dealer.random() < _JOINED
        while left:
            count = min(left, dealer.randrange(*_STRETCH)) if is_joined else left
            if left - count < _STRETCH[0]:
                count = left
            world = dealer.randrange(len(self._starts))
            first = dealer.randrange(self._chunks - count + 1)
            done = chunks - left
            stream.append(Stretch(world, first, count, start_s + done * CHUNK_S))
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
        self, asked: list[list[Question]], streams: list[list[Stretch]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Write questions and answers as token ids, places and wanted tokens."""
        rows = [
            self._encode(question, stream[0].start_s)
            for each, stream in zip(asked, streams, strict=True)
            for question in each
        ]
        tokens = max(len(text) + len(answer) for text, answer in rows)
        length = max(len(answer) for _, answer in rows)
        ids = np.full((len(rows), tokens), self._tokenizer.pad_token_id)
        places = np.zeros((len(rows), length), np.int64)
        answers = np.full((len(rows), length), -100)
        for row, (text, answer) in enumerate(rows):
            ids[row, : len(text) + len(answer)] = text + answer
            places[row, : len(answer)] = len(text) - 1 + np.arange(len(answer))
            answers[row, : len(answer)] = answer
        shape = (len(asked), len(asked[0]), -1)
        ids_, places_, answers_ = (
            torch.from_numpy(part).view(shape) for part in (ids, places, answers)
        )
        return ids_, places_, answers_

    def _encode(
        self, question: Question, start_s: float
    ) -> tuple[list[int], list[int]]:
        answer = question.answer
        if question.type is QuestionType.WHEN:
            pair = np.ceil(question.holds[0] - 0.5 - start_s)
            answer = time_stamp(start_s + pair + _SKEW_S)
        prompt, encode = self._prompt, self._tokenizer.encode
        text = encode(f"{prompt.between}{question.text}{prompt.after}")
        return text, [*encode(answer), self._tokenizer.eos_token_id]


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
