from collections.abc import Callable
from pathlib import Path

import pytest
from servers import find_binary

from benchmarks.outages import soak

FAULTS = (
    "lost",
    "broken",
    "lost_by_the_replay",
    "twice",
    "out_of_order",
    "blobs_without_a_chunk",
)


@pytest.mark.timeout(150)
def test_no_chunk_reported_remembered_is_lost_by_kill_9(
    short_folder: Callable[[], Path],
) -> None:
    find_binary("redis-server")
    found = soak(short_folder(), rounds=10, fsync="always", seed=3)
    assert {name: found[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert sum(found["kills"].values()) == 10
    assert found["reported"] > found["straight_into_the_archive"] > 0
