"""Standing questions over the built-in model and a simulated camera's real chunks."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from standing_scene import (
    ABSENT,
    BUS,
    BUS_S,
    START_S,
    THERE,
    TRUCK,
    TRUCK_S,
    OpenStand,
    Scene,
    seconds,
)
from waiting import until

from agent.standing.budget import Budget
from agent.standing.errors import (
    InvalidStandingError,
    TooManyStandingError,
    UnknownStandingError,
)
from agent.standing.keeping import Kept, StandingFile
from agent.standing.questions import MAX_OF_CAMERA
from agent.worker import Priority
from memory.errors import ArchiveUnavailableError
from memory.kv import KV


async def test_each_event_alerts_once_with_the_chunks_that_show_it(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK, BUS, ABSENT)
    await stand.watch(scene.chunks)
    assert [alert["name"] for alert in stand.alerts] == ["truck", "bus"]
    for alert, (begin_s, end_s) in zip(stand.alerts, (TRUCK_S, BUS_S), strict=True):
        assert alert["event_type"] == "alert"
        assert alert["margin"] >= TRUCK.margin
        assert alert["evidence"][0]["level"] == "low"
        for start, end in seconds(alert["evidence"]):
            assert start < end_s
            assert end > begin_s
    states = {state["name"]: state for state in stand.questions.states()}
    assert {state["state"] for state in states.values()} == {"quiet"}
    assert states["absent"]["last_alert"] is None
    assert states["absent"]["mass"] > 0.9
    report = stand.questions.report()
    assert (report["checked"], report["alerts"]) == (len(scene.chunks), 2)
    assert report["confirms"] >= 2


async def test_a_restart_does_not_alert_again(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[: THERE + 1])
    assert [state["state"] for state in stand.questions.states()] == ["going"]
    again = await open_stand()
    assert again.questions.all() == (TRUCK,)
    [state] = again.questions.states()
    assert state["last_alert"] == stand.alerts[0]["time"]
    await again.watch(scene.chunks[THERE + 1 :])
    assert len(stand.alerts) == 1
    assert again.alerts == []
    assert again.questions.alerts(["gate"]) == stand.alerts


async def test_what_was_there_before_it_was_asked_is_no_news(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    for chunk in scene.chunks[: THERE + 1]:
        await stand.store.remember(chunk)
    await stand.set(TRUCK, BUS)
    await stand.watch(scene.chunks[THERE + 1 :])
    assert [alert["name"] for alert in stand.alerts] == ["bus"]


async def test_the_first_chunk_is_believed_when_the_second_confirms_it(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[THERE : THERE + 1])
    assert stand.alerts == []
    await stand.watch(scene.chunks[THERE + 1 : THERE + 2])
    assert len(stand.alerts) == 1


async def test_while_memory_is_loaded_nothing_is_news(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    stand.store.loading.is_done = False
    await stand.watch(scene.chunks[THERE : THERE + 1])
    assert [state["state"] for state in stand.questions.states()] == ["unknown"]


async def test_without_an_archive_it_is_read_coarsely(
    scene: Scene, open_stand: OpenStand, caplog: pytest.LogCaptureFixture
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[:2])
    stand.store.outage.begin(ArchiveUnavailableError("for a test"))
    with caplog.at_level(logging.WARNING):
        chunk = scene.chunks[2].memory.node
        recalled = await stand.questions.checker._recall([chunk])
        await stand.watch(scene.chunks[2:8])
    assert recalled.degraded == {"archive_unavailable"}
    assert stand.questions.report()["failed"] == 0
    assert [alert["name"] for alert in stand.alerts] == ["truck"]


async def test_a_spent_budget_skips_chunks_and_counts_them(
    scene: Scene, open_stand: OpenStand
) -> None:
    now_s = [0.0]
    budget = Budget(0.01, burst_s=0.0001, clock=lambda: now_s[0])
    stand = await open_stand(budget=budget)
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[:4])
    report = stand.questions.report()
    assert (report["checked"], report["skipped"]) == (1, 3)
    assert report["model_s"] == budget.spent_s > 0.0001
    now_s[0] += 1e6
    await stand.watch(scene.chunks[4:5])
    assert stand.questions.report()["checked"] == 2


async def test_chunks_that_nobody_asks_about_cost_nothing(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(replace(TRUCK, enabled=False), replace(TRUCK, camera="yard"))
    for chunk in scene.chunks[:8]:
        stand.questions.note_chunk(chunk)
    report = stand.questions.report()
    assert (report["dropped"], report["verdicts"], report["model_s"]) == (0, 0, 0)
    states = [(s["camera"], s["state"]) for s in stand.questions.states()]
    assert states == [("gate", "off"), ("yard", "unknown")]


async def test_chunks_that_come_too_fast_give_way_to_newer_ones(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    for chunk in scene.chunks[:10]:
        await stand.store.remember(chunk)
        stand.questions.note_chunk(chunk)
    async with asyncio.TaskGroup() as tasks:
        checking = tasks.create_task(stand.questions.run())
        await until(lambda: stand.questions.report()["checked"] == 4)
        checking.cancel()
    assert stand.questions.report()["dropped"] == 6
    [state] = stand.questions.states()
    assert state["last_checked"] == "2026-09-21T14:14:00.000Z"


async def test_a_person_s_question_goes_before_the_next_verdict(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(*(replace(TRUCK, name=f"n{n}") for n in range(8)))
    await stand.store.remember(scene.chunks[0])
    stand.questions.note_chunk(scene.chunks[0])
    judge = stand.questions.checker.judge
    async with asyncio.TaskGroup() as tasks:
        checking = tasks.create_task(stand.questions.check_next())
        await until(lambda: judge.verdicts >= 1)
        done = await judge.thread.run(Priority.QUESTION, lambda: judge.verdicts)
        assert done < 8
        await checking
    assert judge.verdicts == 8


async def test_a_check_that_fails_does_not_end_the_others(
    scene: Scene, open_stand: OpenStand, caplog: pytest.LogCaptureFixture
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    low = scene.chunks[0].low
    other = KV(low.keys[:2], low.values[:2], low.positions[:2], low.span)
    broken = replace(scene.chunks[0], low=other)  # of a model with two layers
    with caplog.at_level(logging.WARNING):
        stand.questions.note_chunk(broken)
        await stand.questions.check_next()
    assert stand.questions.report()["failed"] == 1
    assert "camera gate: a chunk is not checked" in caplog.text
    await stand.watch(scene.chunks[THERE - 1 : THERE + 1])
    assert len(stand.alerts) == 1


async def test_one_that_is_removed_while_it_is_checked_tells_nothing(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[:4])
    await stand.store.remember(scene.chunks[THERE])
    stand.questions.note_chunk(scene.chunks[THERE])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stand.questions.check_next())
        await asyncio.sleep(0)
        await stand.questions.remove("gate", "truck")
    assert stand.alerts == []
    assert stand.questions.all() == ()
    removed = {"camera": "gate", "name": "truck", "state": "removed"}
    assert stand.told[-1] == ("watch", removed)


class HeldFile(StandingFile):
    """A file whose first writer waits."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_written, self.go_on = asyncio.Event(), asyncio.Event()

    async def write(self, kept: Kept) -> None:
        if not self.is_written.is_set():
            self.is_written.set()
            await self.go_on.wait()
        await super().write(kept)


async def test_the_state_of_one_that_is_gone_does_not_come_back(
    scene: Scene, open_stand: OpenStand, tmp_path: Path
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[:4])
    file = stand.questions.file = HeldFile(tmp_path / "held.json")
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(stand.watch(scene.chunks[THERE : THERE + 1]))
        await file.is_written.wait()
        await stand.questions.remove("gate", "truck")
        file.go_on.set()
    assert len(stand.alerts) == 1
    states = [event["state"] for kind, event in stand.told if kind == "watch"]
    assert states[-1] == "removed"


async def test_what_the_config_has_is_neither_set_nor_removed(
    open_stand: OpenStand,
) -> None:
    stand = await open_stand(BUS)
    assert [each.source for each in stand.questions.all()] == ["config"]
    for change in (stand.questions.set(BUS), stand.questions.remove("gate", "bus")):
        with pytest.raises(InvalidStandingError, match="config file") as caught:
            await change
        assert caught.value.code == "configured"
    again = await open_stand()
    assert again.questions.all() == ()


async def test_a_camera_has_only_so_many(open_stand: OpenStand) -> None:
    stand = await open_stand()
    await stand.set(*(replace(TRUCK, name=f"n{n}") for n in range(MAX_OF_CAMERA)))
    with pytest.raises(TooManyStandingError, match="16 standing questions already"):
        await stand.set(TRUCK)
    await stand.set(replace(TRUCK, name="n0", margin=4.0))
    with pytest.raises(UnknownStandingError, match="no standing question 'truck'"):
        await stand.questions.remove("gate", "truck")


async def test_a_new_margin_goes_on_and_a_new_question_begins_anew(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK)
    await stand.watch(scene.chunks[: THERE + 1])
    await stand.set(replace(TRUCK, margin=1.0))
    assert stand.questions.states()[0]["state"] == "going"
    await stand.set(replace(TRUCK, question="Did you see #88?"))
    assert stand.questions.states()[0]["state"] == "unknown"


async def test_alerts_of_a_time_are_told_newest_first(
    scene: Scene, open_stand: OpenStand
) -> None:
    stand = await open_stand()
    await stand.set(TRUCK, BUS)
    await stand.watch(scene.chunks[:10])
    found = stand.questions.alerts(["gate"])
    assert [alert["name"] for alert in found] == ["bus", "truck"]
    assert stand.questions.alerts(["yard"]) == []
    assert stand.questions.alerts(["gate"], None, START_S) == []
    assert len(stand.questions.alerts(["gate"], START_S + 25.0)) == 1
