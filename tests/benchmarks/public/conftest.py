"""Videos of simulated cameras, with annotations of public benchmarks beside them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import pytest

from benchmarks.public.items import Item, Kind
from ingest.simulation.renderer import render
from ingest.simulation.world import World

BEGAN_S = 1_750_000_000.0
FPS = 4


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video file of ten seconds of a simulated camera."""
    path, world = tmp_path_factory.mktemp("clip") / "clip.mp4", World(5)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(10 * FPS):
            pixels = render(world, BEGAN_S + number / FPS, 64)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.fixture
def put(tmp_path: Path, clip: bytes) -> Callable[..., Path]:
    """Write annotations under a root, and videos: `put(rows, "a.json", "v/1.mp4")`."""

    def write(rows: Any, name: str, *videos: str) -> Path:
        for place in (name, *videos):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(rows))
        for video in videos:
            (tmp_path / video).write_bytes(clip)
        return tmp_path

    return write


@pytest.fixture
def make_item() -> Callable[..., Item]:
    """Make a choice of `red` and `blue`, which is right, unless told otherwise."""

    def make(**fields: Any) -> Item:
        plain: dict[str, Any] = {
            "id": "1",
            "video": Path("a.mp4"),
            "group": "task",
            "kind": Kind.CHOICE,
            "question": "What colour?",
            "prompt": "What colour?\nA. red\nB. blue",
            "answer": "B",
            "options": ("red", "blue"),
        }
        return Item(**(plain | fields))

    return make


@pytest.fixture(scope="session")
def vnbench_rows() -> Callable[[Sequence[str]], list[dict[str, Any]]]:
    """Make the four tries of a question for each `name` of a video, as VNBench has."""

    def make(names: Sequence[str]) -> list[dict[str, Any]]:
        orders = (("car", "cow", "bus", "dog"), ("cow", "bus", "dog", "car"))
        return [
            {
                "video": f"./VNBench/{name}.mp4",
                "question": "What is the secret word?",
                "options": list(orders[number % 2]),
                "gt": "cow",
                "gt_option": "BA"[number % 2],
                "type": name.split("_", 1)[1],
                "try": number,
                "length": 10.0,
            }
            for name in names
            for number in range(4)
        ]

    return make
