"""What a 1080p camera sends, made up: a textured scene, noise, and things that move.

A simulated camera's scene is enlarged onto a rough wall, a textured lorry drives past,
and every frame has noise of its own, as a sensor does: what an encoder has to spend
bits on. H.264 without B-frames, a keyframe every 50 frames, 4 Mbit/s asked for.
"""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ingest.simulation.renderer import render_visits
from ingest.simulation.world import World

FPS = 25
KEYFRAME_EVERY = 50
SIZE = (1920, 1080)
MOVES_S = 3.0  # a still clip does so at its beginning only
_BEGAN_S = 1_750_000_000.0
_BIT_RATE = 4_000_000
_NOISES = 16  # different ones; a frame has one of them, shifted
_LORRY = (400, 240)
_LORRY_STEP = 9  # pixels a frame
_OPTIONS = {"preset": "veryfast", "bf": "0", "g": str(KEYFRAME_EVERY)}

Plane = NDArray[np.int16]


def film(
    path: Path,
    seconds: int,
    seed: int,
    *,
    is_still: bool = False,
    size: tuple[int, int] = SIZE,
) -> float:
    """Write a clip; give its bits per second.

    Args:
        path: Where.
        seconds: How long.
        seed: Of scene and noise.
        is_still: Nothing moves after the first three seconds.
        size: Width and height.
    """
    scene = _Scene(seed, size)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = _BIT_RATE * size[0] * size[1] // (SIZE[0] * SIZE[1])
        for number in range(seconds * FPS):
            moves = not is_still or number < MOVES_S * FPS
            container.mux(stream.encode(scene.picture(number, moves=moves)))
        container.mux(stream.encode(None))
    return path.stat().st_size * 8 / seconds


class _Scene:
    def __init__(self, seed: int, size: tuple[int, int]) -> None:
        rng = np.random.default_rng(seed)
        self._world, self._size = World(seed), size
        width, height = size
        self._wall = rng.normal(0, 6, (height, width)).astype(np.int16)
        self._noises = rng.normal(0, 2, (_NOISES, height, width)).astype(np.int16)
        columns, rows = min(_LORRY[0], width // 4), min(_LORRY[1], height // 4)
        self._lorry = rng.normal(128, 30, (rows, columns)).astype(np.int16)

    def picture(self, number: int, *, moves: bool) -> av.VideoFrame:
        """Give a frame; one in which nothing moves shows the empty scene."""
        time_s = _BEGAN_S + number / FPS
        visits = self._world.visible(time_s) if moves else []
        # In a still scene the light stands still, too.
        shown_s = time_s if moves else _BEGAN_S
        small = render_visits(self._world, shown_s, 64, visits)
        frame = av.VideoFrame.from_ndarray(small, "rgb24")
        width, height = self._size
        planes = frame.reformat(width, height, "yuv420p").to_ndarray()
        luma = planes[:height].astype(np.int16) + self._wall
        if moves:
            self._drive_past(luma, number)
        noise = np.roll(self._noises[number % _NOISES], 7 * number, axis=1)
        planes[:height] = (luma + noise).clip(16, 235)
        return av.VideoFrame.from_ndarray(planes, "yuv420p")

    def _drive_past(self, luma: Plane, number: int) -> None:
        rows, columns = self._lorry.shape
        left = number * _LORRY_STEP % (luma.shape[1] - columns)
        top = luma.shape[0] // 2
        luma[top : top + rows, left : left + columns] = self._lorry
