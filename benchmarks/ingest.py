"""What does it cost to watch a 1080p camera, and how long does a frame take to come?

Run `python -m benchmarks.ingest [--seconds 30] [--turns 9] [--seed 0] [--json FILE]`.
Two clips of 1080p25 H.264 are made first, about 4 Mbit/s each: one with motion, and one
in which nothing moves after the first three seconds. Then:

- CPU: each is played at its own pace, sampled at one frame a second, decoded in each
  way. Counted are the CPU seconds of the reader process from the 15th second of the
  clip on, when one in which nothing moves is known to be calm, for as many intervals
  between keyframes as there are up to three seconds before its end.
- Hardware: PyAV alone on the clip with a device that decodes it, or `none`.
- Throughput: the clip as fast as it is taken, against PyAV alone, in turns.
- Hand-off and start: `benchmarks.ingest_delays` tells what they are.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.ingest_clip import FPS, KEYFRAME_EVERY, SIZE, film
from benchmarks.ingest_costs import WAYS, cpu_row, hardware_row, throughput
from benchmarks.ingest_delays import hand_off, start
from benchmarks.options import Parser, at_least, result_file

FROM_S = 15  # three seconds of motion, ten without, the keyframe after, half a way on
END_S = 3  # a reader of keyframes is gone two seconds before the end
HAND_OFF_CHUNKS = 60


def measure(folder: Path, seconds: int, turns: int, seed: int) -> dict[str, Any]:
    """Make the clips and measure everything.

    Args:
        folder: Where the clips are written.
        seconds: Of each clip.
        turns: Of both sides of the throughput, and of a start.
        seed: Of the clips.
    """
    paths = {name: folder / f"{name}.mp4" for name in ("moving", "still")}
    rates = {
        name: film(path, seconds, seed, is_still=name == "still")
        for name, path in paths.items()
    }
    moving, between_s = paths["moving"], KEYFRAME_EVERY / FPS
    measured_s = (seconds - END_S - FROM_S) // between_s * between_s
    return {
        "clips": {
            "codec": "H.264",
            "size": list(SIZE),
            "fps": FPS,
            "keyframe_every": KEYFRAME_EVERY,
            "seconds": seconds,
            "mbit_per_s": {name: round(rate / 1e6, 2) for name, rate in rates.items()},
        },
        "cpu": [cpu_row(paths[w.clip], w, FROM_S, measured_s) for w in WAYS],
        "hardware": hardware_row(moving),
        "throughput": throughput(moving, seconds, turns),
        "hand_off": hand_off(moving, HAND_OFF_CHUNKS),
        "start": start(moving, seed, turns),
    }


def main() -> None:
    """Measure, show, write."""
    parser = Parser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--seconds", type=at_least(20), default=30)
    parser.add_argument("--turns", type=at_least(1), default=9)
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--json", type=result_file, help="where to write the result")
    arguments = parser.parse_args()
    options = f"--seconds {arguments.seconds} --turns {arguments.turns}"
    with parser.tells(), tempfile.TemporaryDirectory(prefix="lw-") as folder:
        found = measure(
            Path(folder), arguments.seconds, arguments.turns, arguments.seed
        )
    _show(found)
    if arguments.json:
        facts = {"command": f"python -m benchmarks.ingest {options}", **describe()}
        facts |= {"seed": arguments.seed, **found}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")


def _show(found: Mapping[str, Any]) -> None:
    console = Console()
    for name in ("cpu", "hand_off", "start"):
        rows = found[name]
        table = Table(*rows[0], title=name)
        for row in rows:
            table.add_row(*map(str, row.values()))
        console.print(table)
    for name in ("clips", "hardware", "throughput"):
        console.print(name, found[name])


if __name__ == "__main__":
    main()
