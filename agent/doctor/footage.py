"""What every model is checked on: 32 seconds of one simulated camera.

Filmed as a camera is by default, so that the figures are those of one: 1 frame a
second, 8 in a chunk, 448 pixels. The world is of those that no model is made from.
"""

import random
from dataclasses import dataclass

import numpy as np

from ingest.frame import FrameChunk
from ingest.settings import CameraSettings
from ingest.simulation.questions import Question, QuestionType, ask
from ingest.simulation.renderer import render
from ingest.simulation.world import World

CHUNKS = 4
_CAMERA = CameraSettings(name="doctor", address="simulated:seed=1")
_WORLD = World(1)
_START_S = 1_780_000_000.0
_ASKED = (QuestionType.COLOUR, QuestionType.SIDE, QuestionType.WHEN)


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """Chunks without a gap, and questions about them with their answers.

    Attributes:
        chunks: As many frames in each.
        questions: Two at least.
    """

    chunks: tuple[FrameChunk, ...]
    questions: tuple[Question, ...]


def film() -> Footage:
    """Render the chunks and deal the questions, the same ones every time."""
    fps, count = _CAMERA.fps, _CAMERA.chunk_frames
    chunk_s = count / fps
    chunks = []
    for number in range(CHUNKS):
        times_s = _START_S + chunk_s * number + np.arange(count) / fps
        frames = [render(_WORLD, float(t), _CAMERA.max_side) for t in times_s]
        end_s = float(times_s[0]) + chunk_s
        chunks.append(FrameChunk(_CAMERA.name, np.stack(frames), times_s, end_s))
    window = (_START_S, _START_S + CHUNKS * chunk_s)
    visits, dealer = _WORLD.visits(*window), random.Random(0)
    dealt = (ask(visits, [window], type, dealer) for type in _ASKED)
    return Footage(tuple(chunks), tuple(q for q in dealt if q is not None))
