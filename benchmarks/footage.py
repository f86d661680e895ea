"""A simulated camera as a video file: the same frames for both sides of a ratio."""

from pathlib import Path

import av

from ingest.settings import CameraSettings
from ingest.simulation.renderer import render
from ingest.simulation.world import World

FPS = 2
CHUNK_FRAMES = 8
CHUNK_S = CHUNK_FRAMES // FPS
SIZE = 64
BEGAN_S = 1_750_000_000.0


def film(path: Path, seed: int, chunks: int) -> CameraSettings:
    """Write so many chunks of a world without loss; give the camera that plays them."""
    world = World(seed)
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "bgr0"
        for number in range(chunks * CHUNK_FRAMES):
            pixels = render(world, BEGAN_S + number / FPS, SIZE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return CameraSettings(name="bench", address=str(path), fps=FPS, realtime=False)
