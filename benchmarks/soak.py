"""Does anything grow, or get lost, while cameras fail at random, half an hour long?

Run `python -m benchmarks.soak [--minutes 30] [--cameras 8] [--seed 0] [--json FILE]`.
Cameras that send H.264 at 25 fps run in one process, and this one watches each with a
`CameraSource`, as the agent does. A seeded schedule freezes them, closes their
connections, has them send garbage or another size of picture, and kills, crashes or
stops the process that reads one. The first camera is left alone: its reader gets as old
as the run, and must not notice what happens to the others.

Exit status 1 says that something was lost, or that something grew: a fault longer than
the stall time-out without a gap that covers it, chunks that overlap or leave a hole of
which no gap tells, a camera that is not back, files, tasks or processes left behind; in
a run of ten minutes or more, memory that grows by more than a twentieth.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.errors import ServerError
from benchmarks.live_feeds import LiveFeeds
from benchmarks.options import Parser, at_least, result_file
from benchmarks.processes import children, num_files
from benchmarks.soak_faults import Plan, Saboteur, deal
from benchmarks.soak_readings import Reading, read, summarise
from benchmarks.soak_verdict import FPS, Consumer, judge, tell
from ingest.settings import CameraSettings
from ingest.source import CameraSource

CHUNK_FRAMES = 4
OPEN_S = 5.0
_START_S = 60.0
_READ_S = 5.0
_WARM_UP_S = 180.0  # at most a fifth of the run
_JUDGED_S = 600.0  # memory of a shorter run still grows for good reasons
_GROWTH = 0.05
_MEMORY = ("agent_bytes", "reader_bytes", "calm_reader_bytes")


def soak(plan: Plan) -> dict[str, Any]:
    """Watch cameras that fail, then judge.

    Raises:
        ServerError: They do not start, or end by themselves.
    """
    with LiveFeeds(plan.cameras, plan.seed) as feeds:
        try:
            return asyncio.run(_soak(feeds, plan))
        except ExceptionGroup as group:
            broken = group.subgroup(ServerError)
            if broken is None:
                raise
            raise ServerError("the cameras are not there, or gone") from broken


async def _soak(feeds: LiveFeeds, plan: Plan) -> dict[str, Any]:
    files, processes = num_files(), len(children())
    saboteur = Saboteur(feeds, plan)
    async with AsyncExitStack() as stack:
        consumers = [
            Consumer(await stack.enter_async_context(CameraSource(each)))
            for each in _cameras(feeds, plan)
        ]
        readings = await _watch(consumers, saboteur, feeds, plan)
        lost = judge(consumers, saboteur.suffered, plan)
        told = tell(consumers, saboteur.suffered, plan)
    lost |= {
        "files_left_open": num_files() - files,
        "tasks_left": len(asyncio.all_tasks()) - 1,
        "processes_left": len(children()) - processes,
    }
    rows = summarise(readings, min(_WARM_UP_S, plan.seconds / 5))
    return {
        **told,
        "faults_that_hit_nobody": len(saboteur.missed),
        "lost": lost | _grown(rows, plan),
        "rows": rows,
    }


def _cameras(feeds: LiveFeeds, plan: Plan) -> list[CameraSettings]:
    return [
        CameraSettings(
            name=f"camera-{number}",
            address=feeds.url(number),
            fps=FPS,
            chunk_frames=CHUNK_FRAMES,
            open_timeout_s=OPEN_S,
            stall_timeout_s=plan.stall_s,
        )
        for number in range(plan.cameras)
    ]


async def _watch(
    consumers: list[Consumer], saboteur: Saboteur, feeds: LiveFeeds, plan: Plan
) -> list[Reading]:
    """Consume, and break things, for the time of a plan; give readings of it."""
    readings: list[Reading] = []
    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(consumers):
            group.create_task(each.consume(), name=f"soak.consumer[{number}]")
        await _until_all_are_watched(consumers)
        began_s = time.monotonic()
        group.create_task(saboteur.commit(deal(plan)), name="soak.saboteur")
        while (at_s := time.monotonic() - began_s) < plan.seconds:
            readings.append(read(at_s, feeds.ports[0]))
            await asyncio.sleep(min(_READ_S, plan.seconds / 20))
        for task in asyncio.all_tasks():
            if task.get_name().startswith("soak."):
                task.cancel()
    return readings


async def _until_all_are_watched(consumers: list[Consumer]) -> None:
    """Wait for a chunk of each: before that there is nothing to be lost."""
    try:
        async with asyncio.timeout(_START_S):
            for consumer in consumers:
                await consumer.has_begun.wait()
    except TimeoutError as exc:
        raise ServerError(f"no chunk of every camera within {_START_S:g} s") from exc


def _grown(rows: list[dict[str, Any]], plan: Plan) -> dict[str, int]:
    """Count quantities that grew: one file per camera, a twentieth of the memory."""
    by_name = {row["name"]: row for row in rows}
    hours = plan.seconds / 3600
    growing = [
        name
        for name in _MEMORY
        if by_name[name]["per_hour"] * hours > _GROWTH * by_name[name]["first"]
    ]
    return {
        "kinds_of_memory_that_grow": len(growing) * (plan.seconds >= _JUDGED_S),
        **{
            f"{name}_that_grow": int(
                by_name[name]["last"] - by_name[name]["first"] >= plan.cameras
            )
            for name in ("files", "tasks", "threads")
        },
    }


def main() -> int:
    """Soak, judge, show, write."""
    parser = Parser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=at_least(1), default=30)
    parser.add_argument("--cameras", type=at_least(2), default=8)
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--json", type=result_file, help="where to write the result")
    arguments = parser.parse_args()
    plan = Plan(arguments.cameras, arguments.minutes * 60, arguments.seed)
    with parser.tells():
        found = soak(plan)
    _show(found)
    if arguments.json:
        options = f"--minutes {arguments.minutes} --cameras {arguments.cameras}"
        facts = {"command": f"python -m benchmarks.soak {options}"} | describe()
        facts |= {"seed": plan.seed, "minutes": arguments.minutes}
        facts |= {"cameras": plan.cameras, "stall_timeout_s": plan.stall_s, **found}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")
    return int(any(found["lost"].values()))


def _show(found: dict[str, Any]) -> None:
    rows = found["rows"]
    table = Table(*rows[0], title="what is taken; bytes per hour by least squares")
    for row in rows:
        table.add_row(*(f"{v:,.0f}" if v != row["name"] else v for v in row.values()))
    told = Table("what happened", "")
    for name, value in found.items():
        if name not in ("rows", "lost"):
            told.add_row(name, str(value))
    lost = Table("must be 0", "")
    for name, value in found["lost"].items():
        lost.add_row(name, str(value))
    Console().print(table, told, lost)


if __name__ == "__main__":
    sys.exit(main())
