"""A soak finds what is lost, and finds nothing where nothing is."""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from benchmarks.processes import children
from benchmarks.soak import soak
from benchmarks.soak_faults import Fault, Kind, Plan, Suffered, deal
from benchmarks.soak_readings import NAMES, Reading, slope, summarise
from benchmarks.soak_table import soak_table
from benchmarks.soak_verdict import Consumer, judge, outage, uncovered_s
from benchmarks.tables import RESULTS, ROOT, TABLES
from ingest.frame import FrameChunk
from ingest.status import CameraState, CameraStatus, Gap, GapReason

PLAN = Plan(cameras=4, seconds=1800, seed=3)


@dataclass
class SourceThatTells:
    """A camera that was never there; it tells of the gaps that it is given."""

    gaps: tuple[Gap, ...] = ()
    status: CameraStatus = field(
        default_factory=lambda: CameraStatus(CameraState.ONLINE, 0.0, 9, 0, 0, None)
    )


def chunk(start_s: float, end_s: float) -> FrameChunk:
    times = np.arange(start_s, end_s, 0.5)
    return FrameChunk("door", np.zeros((len(times), 2, 2, 3), np.uint8), times, end_s)


def consumer_of(*spans: tuple[float, float], gaps: tuple[Gap, ...] = ()) -> Consumer:
    consumer = Consumer(SourceThatTells(gaps))  # type: ignore[arg-type]
    for span in spans:
        consumer.see(chunk(*span))
    return consumer


def gap(start_s: float, end_s: float) -> Gap:
    return Gap(start_s, end_s, GapReason.STALLED)


def test_a_seed_names_the_faults_one_at_a_time_for_each_camera_but_the_first():
    faults = deal(PLAN)
    assert faults == deal(PLAN)
    assert faults != deal(Plan(cameras=4, seconds=1800, seed=4))
    assert {fault.camera for fault in faults} == {1, 2, 3}
    assert {fault.kind for fault in faults} == set(Kind)
    for camera in (1, 2, 3):
        own: list[Fault] = [fault for fault in faults if fault.camera == camera]
        for one, two in pairwise(own):
            assert two.at_s - one.at_s - one.lasts_s >= PLAN.pause_s[0]
        assert own[-1].at_s + own[-1].lasts_s < PLAN.seconds - PLAN.tail_s


def test_only_a_fault_longer_than_the_stall_time_out_must_leave_a_gap():
    long, short = (Suffered(1, Kind.FREEZE, 0.0, end_s) for end_s in (8.0, 2.0))
    assert outage(long, PLAN) == (1.0, 7.0)
    assert outage(short, PLAN) is None
    assert outage(Suffered(1, Kind.READER_STOPPED, 0.1, 0.1 + 3.0), PLAN)
    assert outage(Suffered(1, Kind.RESIZE, 0.0, 0.0), PLAN) is None


def test_what_gaps_leave_uncovered():
    gaps = [gap(0, 2), gap(3, 4)]
    assert uncovered_s((1, 4), gaps) == 1
    assert uncovered_s((0, 2), gaps) == 0
    assert uncovered_s((5, 8), gaps) == 3


def test_an_outage_that_no_gap_covers_is_found():
    told = consumer_of((0, 2), (10, 12), gaps=(gap(2, 10),))
    halfway = consumer_of((0, 2), (10, 12), gaps=(gap(2, 5),))
    suffered = [Suffered(n, Kind.FREEZE, 2.0, 9.5) for n in (1, 2)]
    found = judge([consumer_of((0, 2)), told, halfway], suffered, PLAN)
    assert found["outages_without_a_gap"] == 1
    assert found["holes_without_a_gap"] == 1


def test_disorder_and_a_disturbed_neighbour_are_found():
    disordered = consumer_of((0, 2), (1.5, 3))
    disturbed = consumer_of((0, 2), (2, 4), gaps=(gap(4, 5),))
    disordered.has_ended = True
    found = judge([disturbed, disordered], [], PLAN)
    assert {name: count for name, count in found.items() if count} == {
        "chunks_out_of_order": 1,
        "gaps_of_the_camera_left_alone": 1,
        "consumers_ended": 1,
    }


def test_growth_is_told_per_hour_and_without_the_beginning():
    assert slope([0, 10, 20], [5, 6, 7]) == pytest.approx(0.1)
    readings = [
        Reading(at_s, *[100.0 + at_s * (at_s >= 60)] * len(NAMES))
        for at_s in range(0, 600, 5)
    ]
    row = summarise(readings, 60)[0]
    assert row["per_hour"] == pytest.approx(3600)
    assert row["first"] < row["last"] <= row["most"] == 695


@pytest.mark.timeout(90)
def test_cameras_that_fail_lose_nothing():
    before = children()
    found = soak(Plan(3, 16, seed=7, longest_s=5, pause_s=(2, 3), tail_s=8))
    losses = found["lost"]
    slow = ("cameras_not_back", "gaps_of_the_camera_left_alone")  # a busy machine
    assert not {name for name in losses if losses[name] and name not in slow}
    assert sum(found["faults"].values()) >= 2
    assert found["outages"] >= 1
    assert found["gaps"] >= 1
    assert found["chunks"] >= 3
    assert [row["name"] for row in found["rows"]] == list(NAMES)
    assert children() == before
    facts = {"command": "soak", "seed": 7, "minutes": 1, "cameras": 3}
    facts |= {"stall_timeout_s": 3.0, "machine": "m", "versions": {"av": "18"}}
    table = soak_table(facts | {"commit": "abc"} | found)
    assert all(f"| {name.replace('_', ' ')} |" in table for name in losses)


FOUND: dict[str, Any] = {
    "command": "python -m benchmarks.soak --minutes 30 --cameras 8",
    "machine": "one core",
    "versions": {"av": "18"},
    "commit": "abc",
    "seed": 0,
    "minutes": 30,
    "cameras": 8,
    "stall_timeout_s": 3.0,
    "faults": {"freeze": 5, "reader killed": 7},
    "outages": 4,
    "chunks": 6259,
    "gaps": 9,
    "reconnects": 11,
    "back_after_s_median": 0.79,
    "back_after_s_worst": 13.3,
    "lost": {"outages_without_a_gap": 0, "chunks_dropped": 2},
    "rows": [
        {"name": name, "first": 18.0, "last": 18.0, "most": 21.0, "per_hour": 0.0}
        for name in NAMES
    ],
}


def test_the_table_tells_what_happened_and_what_was_lost():
    agent = {"name": "agent_bytes", "first": 256e6, "last": 257.04e6}
    agent |= {"most": 1.2e9, "per_hour": 1.0}
    table = soak_table(FOUND | {"rows": [*FOUND["rows"][1:], agent]})
    assert "in 30 minutes 8 cameras suffered 12 faults, of which 4 were" in table
    assert "back 0.79 s (median)" in table
    assert "13.3 s at worst" in table
    assert {
        "| reader killed | 7 |",
        "| memory of the agent's process, MB | 256.0 | 257.0 | 1,200.0 |",
        "| tasks | 18 | 18 | 21 |",
        "| chunks dropped | 2 |",
    } <= set(table.splitlines())
    nobody = {"back_after_s_median": None, "back_after_s_worst": None}
    assert "No camera had to come back." in soak_table(FOUND | nobody)


def test_the_page_shows_what_was_found():
    found = json.loads((RESULTS / "soak.json").read_text())
    assert soak_table(found) in (ROOT / TABLES["soak"][0]).read_text()
