"""Lessons tell the truth: times, keys and what the footage shows belong together."""

import re

import numpy as np
import torch

from agent.vlm import builtin
from ingest.simulation.questions import QuestionType
from ingest.simulation.visit import Colour, Kind
from training.footage import PAIRS_PER_CHUNK, tell
from training.glance import Targets
from training.labels import NOW_KEY, look_key
from training.split import Split
from training.streams import Lesson, Teacher

WORLDS = [Split.TRAIN.world(number) for number in range(4)]
CHUNKS = 20
DAY_S = 86_400


def deal(step: int, streams: int = 2, chunks: int = 24) -> Lesson:
    teacher = Teacher(WORLDS, CHUNKS, builtin.build_tokenizer(), seed=3)
    return teacher.deal(step, streams, chunks, 40)


def test_a_step_always_gives_the_same_lesson() -> None:
    one, other = deal(5), deal(5)
    assert torch.equal(one.asked.ids, other.asked.ids)
    assert torch.equal(one.stamps, other.stamps)
    assert not torch.equal(one.stamps, deal(6).stamps)


def test_pairs_are_a_second_apart_and_stretches_may_be_hours_apart() -> None:
    gaps = set()
    for step in range(6):
        stamps = deal(step).stamps
        assert (stamps.diff(dim=2) == 1).all()
        gaps |= set((stamps[:, 1:, 0] - stamps[:, :-1, -1]).flatten().tolist())
    assert min(gaps) == 1
    assert max(gaps) > 600


def test_what_is_asked_about_is_shown_at_the_time_that_is_answered() -> None:
    labels = torch.from_numpy(
        np.stack([tell(world, CHUNKS * PAIRS_PER_CHUNK) for world in WORLDS])
    ).long()
    tokenizer = builtin.build_tokenizer()
    judged = 0
    for step in range(4):
        lesson = deal(step)
        pairs = lesson.chunks[..., None] * PAIRS_PER_CHUNK + torch.arange(4)
        seen = labels[lesson.worlds[..., None], pairs].flatten(1, 3)  # (G, X, A)
        shows = Targets.of(lesson.keys, seen).shows.unflatten(2, (-1, 16)).any(dim=3)
        clock = lesson.stamps.flatten(1) % DAY_S  # (G, pairs)
        for stream, types in enumerate(lesson.types):
            for number, type in enumerate(types):
                if type is not QuestionType.WHEN:
                    continue
                answer = lesson.answers[stream, number]
                text = tokenizer.decode(answer[answer != -100])
                hour, minute, second = map(int, re.findall(r"\d\d", text))
                at = hour * 3600 + minute * 60 + second
                shown = clock[stream][shows[stream, number]]
                assert (shown - at).abs().min() <= 3, (text, shown.tolist())
                judged += 1
    assert judged > 20


def test_every_question_of_the_lesson_has_its_key() -> None:
    lesson = deal(1)
    ids = lesson.asked.ids.gather(2, lesson.asked.key_places[..., None]).squeeze(2)
    words = words_of(ids)
    for type, key, word in zip(
        [t for types in lesson.types for t in types],
        lesson.keys.flatten().tolist(),
        words,
        strict=True,
    ):
        if type is QuestionType.NOW:
            assert (key, word) == (NOW_KEY, "now")
        elif type is QuestionType.PLATE:
            kind = 1 + list(map(str, Kind)).index(word)
            assert key in {look_key(kind, 1 + n) for n in range(len(Colour))}
        else:
            assert word == f"#{key}"


def words_of(ids: torch.Tensor) -> list[str]:
    tokenizer = builtin.build_tokenizer()
    return tokenizer.convert_ids_to_tokens(ids.flatten().tolist())
