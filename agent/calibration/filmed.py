"""Calibration with pictures: simulated cameras, and questions about who passed them.

The worlds are of those that no model is trained or judged on and no demo shows.
"""

import random
from collections.abc import Iterator

import numpy as np

from agent.calibration.probe import Probe
from ingest.frame import FrameChunk
from ingest.simulation.questions import Question, QuestionType, ask
from ingest.simulation.renderer import render
from ingest.simulation.split import CALIBRATION
from ingest.simulation.world import World

FRAMES, FPS, SIZE = 8, 2.0, 256
CHUNK_S = FRAMES / FPS
ASKED = (
    QuestionType.COLOUR,
    QuestionType.KIND,
    QuestionType.SIDE,
    QuestionType.LEFT_TO,
    QuestionType.WHEN,
    QuestionType.PLATE,
)
_START_S = 1_780_000_000.0
_EACH = 4  # questions of a type about one stream
_TRIES = 5  # for each of them


def film(stream: int, chunks: int) -> Iterator[FrameChunk]:
    """Render a stream's chunks, one by one; there are as many as worlds."""
    world, start_s = World(CALIBRATION[stream]), _start_of(stream)
    for number in range(chunks):
        times_s = start_s + CHUNK_S * number + np.arange(FRAMES) / FPS
        pixels = np.stack([render(world, float(t), SIZE) for t in times_s])
        yield FrameChunk("made-up", pixels, times_s, float(times_s[0]) + CHUNK_S)


def make_probes(stream: int, chunks: int) -> list[Probe]:
    """Ask about those who passed in a stream, each question with its chunks."""
    start_s = _start_of(stream)
    window = (start_s, start_s + chunks * CHUNK_S)
    visits = World(CALIBRATION[stream]).visits(*window)
    dealer = random.Random(stream)
    probes: dict[str, Probe] = {}
    for type in ASKED:
        of_type: dict[str, Probe] = {}
        for _ in range(_TRIES * _EACH):
            question = ask(visits, [window], type, dealer)
            if question is not None and len(of_type) < _EACH:
                holders = _holders(question, start_s, chunks)
                of_type[question.text] = Probe(question.text, holders)
        probes |= of_type
    return list(probes.values())


def _holders(question: Question, start_s: float, chunks: int) -> tuple[int, ...]:
    """Give the chunks whose time overlaps one in which the answer is shown."""
    return tuple(
        number
        for number in range(chunks)
        if any(
            start_s + number * CHUNK_S < until_s
            and start_s + (number + 1) * CHUNK_S > from_s
            for from_s, until_s in question.shown
        )
    )


def _start_of(stream: int) -> float:
    return _START_S + 86_413.0 * stream  # another time of day for each
