import asyncio
import json
from pathlib import Path

import pytest

from agent.pauses import Pauses, read_paused
from ingest.settings import CameraSettings
from ingest.source import CameraSource


def make_sources(*names: str) -> dict[str, CameraSource]:
    return {
        name: CameraSource(CameraSettings(name=name, address="simulated:"))
        for name in names
    }


async def test_what_is_paused_is_known_after_a_restart(tmp_path: Path):
    path = tmp_path / "paused.json"
    sources = make_sources("door", "yard")
    async with sources["door"], sources["yard"]:
        pauses = Pauses(path, sources)
        await pauses.set_watching("door", is_watching=False)
        assert (sources["door"].is_paused, sources["yard"].is_paused) == (True, False)
        assert await asyncio.to_thread(read_paused, path) == {"door"}
        await pauses.set_watching("door", is_watching=True)
        assert await asyncio.to_thread(read_paused, path) == frozenset()
        with pytest.raises(KeyError):
            await pauses.set_watching("roof", is_watching=False)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "5"])
def test_a_file_that_cannot_be_read_pauses_nothing(tmp_path: Path, text: str):
    path = tmp_path / "paused.json"
    assert read_paused(path) == frozenset()
    path.write_text(text)
    assert read_paused(path) == frozenset()
    path.write_text(json.dumps(["door"]))
    assert read_paused(path) == {"door"}
