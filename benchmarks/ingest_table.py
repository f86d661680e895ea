"""What watching a camera costs, as `benchmarks.ingest` measured it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def ingest_table(result: Mapping[str, Any]) -> str:
    """Give CPU by way of decoding, throughput, hand-off and start."""
    clips = result["clips"]
    width, height = clips["size"]
    rates = ", ".join(f"{rate:g} ({n})" for n, rate in clips["mbit_per_s"].items())
    parts = [
        f"`{result['command']}`, seed {result['seed']}, {result['machine']}, PyAV "
        f"{result['versions']['av']}, commit {result['commit']}. Clips of {width} x "
        f"{height} at {clips['fps']} fps, {clips['codec']} with a keyframe every "
        f"{clips['keyframe_every']} frames, Mbit/s: {rates}. Sampled once a second:",
        _costs(result["cpu"], result["hardware"]),
        _throughput(result["throughput"]),
        _delays(result["hand_off"], result["start"]),
    ]
    return "\n\n".join(parts)


def cameras_sentence(result: Mapping[str, Any]) -> str:
    """Give how many whole cameras a core watches, decoding all or keyframes alone."""
    (_, height), fps = result["clips"]["size"], result["clips"]["fps"]
    cameras = {
        row["decoding"]: math.floor(row["cameras_per_core"])
        for row in result["cpu"]
        if row["clip"] == "moving"
    }
    return (
        f"A core watches {cameras['all']} cameras of {height}p{fps} decoding "
        f"everything, {cameras['keyframes']} by keyframes alone, at one frame a second "
        f"(`{result['command']}`)."
    )


def _costs(rows: Sequence[Mapping[str, Any]], hardware: Mapping[str, Any] | str) -> str:
    lines = [
        _line(["clip", "`decoding`", "CPU cores a camera", "cameras a core"]),
        _line(["---"] * 4),
    ]
    for row in rows:
        numbers = [f"{row['cores']:.3f}", f"{row['cameras_per_core']:.0f}"]
        lines.append(_line([row["clip"], f"`{row['decoding']}`", *numbers]))
    if isinstance(hardware, str):
        return "\n".join([*lines, "", "There is no hardware that decodes here."])
    name = f"all, by `{hardware['device']}`, PyAV alone"
    numbers = [f"{hardware['cores']:.3f}", f"{hardware['cameras_per_core']:.0f}"]
    return "\n".join([*lines, _line(["moving", name, *numbers])])


def _throughput(found: Mapping[str, Any]) -> str:
    return (
        f"As fast as it is taken, the whole ingest decodes {found['frames_per_s']:g} "
        f"frames a second, PyAV alone {found['bare_frames_per_s']:g}: "
        f"{found['ratio']:.2f} times as many ({found['ratio_min']:.2f} to "
        f"{found['ratio_max']:.2f} in {found['turns']} turns), per CPU second "
        f"{found['cpu_ratio']:.2f} times ({found['cpu_ratio_min']:.2f} to "
        f"{found['cpu_ratio_max']:.2f})."
    )


def _delays(
    hand_off: Sequence[Mapping[str, Any]], start: Sequence[Mapping[str, Any]]
) -> str:
    lines = [_line(["delay", "source", "median", "worst"]), _line(["---"] * 4)]
    for name, rows in (
        ("a chunk is complete, to it is in hand", hand_off),
        ("start to the first chunk, of one frame, at 5 fps", start),
    ):
        lines += [
            _line(
                [
                    *(name, row["source"]),
                    *(f"{row['median_ms']:g} ms", f"{row['worst_ms']:g} ms"),
                ]
            )
            for row in rows
        ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
