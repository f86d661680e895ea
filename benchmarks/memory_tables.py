"""Tables of what memory does as it gets older, and of what its archive costs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.screen import show_size

Cell = Callable[[Mapping[str, Any]], str]

_STEPS = ("coverage", "relevance", "descent", "fetch", "rehydrate", "first_token")
_OTHERS = ("raw", "pickle", "torch.save", "safetensors", "safetensors + CRC-32")


def age_table(result: Mapping[str, Any]) -> str:
    """Give what `benchmarks.long_run` found at each age."""
    rows = result["rows"]
    first, last = rows[0]["first_token_ms"], rows[-1]["first_token_ms"]
    told = (
        f"`{result['command']} --days {result['days']:g}`, seed {result['seed']}, "
        f"{result['resident_tokens']:,} resident tokens, "
        f"{_size(result['archive_bytes'])} of archive, {_machine(result)}. The first "
        f"token takes {last / first:.2f} times as long at the end as after an hour:"
    )
    k = result["top_k"]
    shown: dict[str, Cell] = {
        "chunks": lambda row: f"{row['chunks']:,}",
        f"questions answered right, of {rows[0]['questions']}": lambda row: _share(
            row["right"]
        ),
        "right chunk first, two stages": lambda row: _share(row["found_at_1"]),
        "right chunk first, flat scan": lambda row: _share(row["flat_found_at_1"]),
        f"right chunk in {k}, two stages": lambda row: _share(row[f"found_at_{k}"]),
        f"right chunk in {k}, flat scan": lambda row: _share(row[f"flat_found_at_{k}"]),
        "first token": lambda row: f"{row['first_token_ms']:g} ms",
        **{
            f"- {step.replace('_', ' ')}": lambda row, step=step: (
                f"{row['first_token_steps_ms'][step]:g} ms"
            )
            for step in _STEPS
        },
        "tokens read": lambda row: f"{row['context_tokens']:,.0f}",
        "tokens resident": lambda row: f"{row['resident_tokens']:,}",
        "nodes resident": lambda row: _nodes(row["resident_nodes"]),
        "index": lambda row: _size(row["index_bytes"]),
        "process (RSS)": lambda row: _size(row["process_bytes"]),
        "archive": lambda row: _size(row["archive_bytes"]),
        "L-KV retired": lambda row: f"{row['lows_retired']:,}",
        "chunks written a second": lambda row: f"{row['chunks_per_s']:g}",
    }
    return _by_age(told, rows, shown)


def shape_table(result: Mapping[str, Any]) -> str:
    """Give what it found at each age of random numbers in a larger model's shape."""
    rows = result["rows"]
    told = (
        f"`{result['command']} --shape {result['shape']} --days {result['days']:g}`, "
        f"seed {result['seed']}, {result['resident_tokens']:,} resident tokens, "
        f"{_size(result['archive_bytes'])} of archive, {_machine(result)}:"
    )
    shown: dict[str, Cell] = {
        "chunks": lambda row: f"{row['chunks']:,}",
        "remembered": lambda row: f"{row['indexed']:,}",
        "planted chunk first": lambda row: _share(row["found_at_1"]),
        "all up to the model": lambda row: f"{row['until_model_ms']:,.0f} ms",
        **{
            f"- {step}": lambda row, step=step: f"{row['steps_ms'][step]:,.1f} ms"
            for step in rows[0]["steps_ms"]
        },
        "tokens read": lambda row: f"{row['context_tokens']:,.0f}",
        "nodes resident": lambda row: _nodes(row["resident_nodes"]),
        "process (RSS)": lambda row: _size(row["process_bytes"]),
        "archive": lambda row: _size(row["archive_bytes"]),
        "L-KV retired": lambda row: f"{row['lows_retired']:,}",
        "chunks written a second": lambda row: f"{row['chunks_per_s']:g}",
    }
    return _by_age(told, rows, shown)


def _by_age(
    told: str, rows: Sequence[Mapping[str, Any]], shown: Mapping[str, Cell]
) -> str:
    """Give a table with a column for each age, below a sentence."""
    lines = [told, "", _line(["", *(row["age"] for row in rows)])]
    lines.append(_line(["---"] * (1 + len(rows))))
    lines += [_line([name, *map(cell, rows)]) for name, cell in shown.items()]
    return "\n".join(lines)


def index_table(result: Mapping[str, Any]) -> str:
    """Give how long `benchmarks.index_speed` took."""
    rows = result["rows"]
    lines = [
        f"`{result['command']}`, {rows[0]['chunks']:,} chunks, "
        f"{result['threads']} threads, {_machine(result)}; medians:",
        "",
        _line(["index", "marks", "least", "short list", "its fine keys"]),
        _line(["---"] * 5),
    ]
    names = ("marks_ms", "marks_least_ms", "short list_ms", "fine keys_ms")
    lines += [
        _line([row["name"], *(f"{row[name]:g} ms" for name in names)]) for row in rows
    ]
    return "\n".join(lines)


def archive_table(result: Mapping[str, Any]) -> str:
    """Give the rates, the bytes and the restart that `benchmarks.archive` measured."""
    parts = [
        f"`{result['command']}`, {result['server']['kind']} with every write on the "
        f"disk before it acknowledges it, {_machine(result)}.",
        _rates(result["rates"]),
        _video(result["video"]),
        _restart(result["restart"]),
    ]
    return "\n\n".join(parts)


def _rates(rows: Sequence[Mapping[str, Any]]) -> str:
    """Give our rates over those of each other way."""
    lines = [
        "Rate of ours over that of each other way, put / get (above 1 ours is faster):",
        "",
        _line(["L-KV", "numbers", "blob", "at once", "ours, MB/s", *_OTHERS]),
        _line(["---"] * (5 + len(_OTHERS))),
    ]
    for row in rows:
        ways = {way["way"]: way for way in row["ways"]}
        own = ways["ours"]
        told = [row["shape"], row["numbers"], _size(row["blob_bytes"])]
        told += [str(row["in_flight"])]
        told += [f"{own['put_mb_per_s']:.0f} / {own['get_mb_per_s']:.0f}"]
        told += [_ratio(ways.get(name)) for name in _OTHERS]
        lines.append(_line(told))
    return "\n".join(lines)


def _ratio(way: Mapping[str, Any] | None) -> str:
    return f"{way['put_ratio']:.2f} / {way['get_ratio']:.2f}" if way else ""


def _video(found: Mapping[str, Any]) -> str:
    """Give bytes per second of a simulated camera beside its clip."""
    clips = found["clips"]
    names = [f"H.264, {c['side']} px, {c['fps']} fps" for c in clips]
    told = ", ".join(
        f"{n[7:]} {_size(c['bytes_per_s'])}" for n, c in zip(names, clips, strict=True)
    )
    codec = found["h264"]
    lines = [
        f"Bytes per second of a simulated camera, built-in model, {found['chunks']} "
        f"chunks; {codec['encoder']} at CRF {codec['crf']}: {told}. Memory over each:",
        "",
        _line(["numbers", "memory", *names]),
        _line(["---"] * (2 + len(names))),
    ]
    for row in found["rows"]:
        keys = (f"times_h264_{c['side']}_px_{c['fps']}_fps" for c in clips)
        ratios = [f"{row[key]:g}" for key in keys]
        lines.append(_line([row["numbers"], _size(row["bytes_per_s"]), *ratios]))
    return "\n".join(lines)


def _restart(found: Mapping[str, Any]) -> str:
    """Give how long 24 hours take to be there again."""
    return (
        f"A restart: resident memory and index of {found['chunks']:,} chunks of "
        f"{found['chunk_s']:g} s are there again after {found['rebuild_s']:g} s "
        f"({_size(found['bytes'])}, no L-KV); the plain read of the same bytes takes "
        f"{found['read_s']:g} s."
    )


def _nodes(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {tier}" for tier, count in found.items())


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _size(num_bytes: float) -> str:
    return show_size(round(num_bytes))


def _machine(result: Mapping[str, Any]) -> str:
    versions = result["versions"]
    return f"{result['machine']}, torch {versions['torch']}, commit {result['commit']}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
