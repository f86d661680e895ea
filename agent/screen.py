"""What a person sees of cameras and answers in a terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.messages import Delta

_COLOURS = {"online": "green", "starting": "yellow", "paused": "cyan", "ended": "cyan"}
_NO_MOMENT = "-"
_MAX_GAPS = 3  # that are shown of an answer


def camera_table(cameras: Mapping[str, Mapping[str, Any]]) -> Table:
    """Show what each camera's state says: chunks, tokens per level, bytes, drops."""
    table = Table(header_style="bold", box=SIMPLE, padding=(0, 1))
    for title in ("camera", "state", "seen, UTC"):
        table.add_column(title, no_wrap=True)
    for title in ("chunks", "tokens", "H", "L", "archive", "drops"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, state in sorted(cameras.items()):
        if "chunks" not in state:
            continue  # not an agent's
        colour = _COLOURS.get(str(state["state"]), "red")
        table.add_row(
            name,
            Text(str(state["state"]), style=colour),
            clock(state["last_frame"]),
            f"{state['chunks']:,}",
            f"{state['tokens_in']:,}",
            f"{state['tokens_h']:,}",
            f"{state['tokens_l']:,}",
            show_size(state["bytes_h"] + state["bytes_l"]),
            f"{state['dropped']:,}",
        )
        if state["error"]:
            table.add_row("", Text(str(state["error"]), style="red"))
    return table


def answer_panel(answer: Mapping[str, Any], note: Text | None = None) -> Panel:
    """Show an answer, the moments it refers to, and what it took."""
    body = Text()
    if answer["error"]:
        body.append(f"{answer['error']['code']}: {answer['error']['message']}", "red")
    else:
        body.append(answer["answer"] or "(no words)", "bold")
    if note is not None:
        body.append("\n").append_text(note)
    if understood := answer.get("understood"):
        times = period(understood["from"], understood["to"])
        words = f": {understood['words']}" if understood["words"] else ""
        body.append(f"\n  asked about {times}{words}", "cyan")
    for found in answer["evidence"]:
        moment = f"{found['camera']} {period(found['start'], found['end'])}"
        level = "re-loaded" if found["level"] == "low" else "coarse"
        body.append(f"\n  {moment}  {level}, relevance {found['score']:.3f}", "cyan")
        if found.get("film"):
            body.append(f"\n    {found['film']}", "dim")
    body.append_text(_gap_lines(answer["coverage"]["gaps"]))
    if answer["degraded"]:
        body.append(f"\n  degraded: {', '.join(answer['degraded'])}", "yellow")
    facts = [f"{name} {ms:.0f} ms" for name, ms in answer["timings_ms"].items()]
    facts += [f"{count} {name} tokens" for name, count in answer["tokens"].items()]
    if facts:
        body.append("\n  " + ", ".join(facts), "dim")
    style = {"ok": "green", "error": "red"}.get(answer["status"], "yellow")
    title = Text(f"{answer['question']}  [{answer['status']}]")
    return Panel(body, title=title, title_align="left", border_style=style)


def links(answer: Mapping[str, Any]) -> list[str]:
    """Give where each moment of an answer can be seen, a film rather than a picture."""
    found = (each.get("film_url") or each.get("picture") for each in answer["evidence"])
    return [link for link in found if link]


def clock(moment: str | None) -> str:
    """Give the time of day of an ISO 8601 moment."""
    if not moment:
        return _NO_MOMENT
    return moment.partition("T")[2].rstrip("Z").partition(".")[0]


def period(start: str | None, end: str | None) -> str:
    """Write a time between two ISO 8601 moments, open where one is None.

    In UTC, as models are told it; with the day where that is not today.
    """
    day, written = datetime.now(UTC).date().isoformat(), []
    for moment, where_open in ((start, "the beginning"), (end, "now")):
        if moment is None:
            written.append(where_open)
            continue
        date = moment.partition("T")[0]
        written.append(clock(moment) if date == day else f"{date} {clock(moment)}")
        day = date
    return f"{' to '.join(written)} UTC"


def _gap_lines(gaps: Sequence[Mapping[str, Any]]) -> Text:
    """Show the newest gaps, and how many there were before them."""
    lines = Text(style="yellow")
    ordered = sorted(gaps, key=lambda gap: str(gap["start"]))
    for gap in ordered[-_MAX_GAPS:]:
        reason = gap["kind"].replace("_", " ")
        times = period(gap["start"], gap["end"])
        lines.append(f"\n  {reason}: {gap['camera']} {times}")
    if before := len(ordered[:-_MAX_GAPS]):
        lines.append(f"\n  and {before} more before that")
    return lines


def show_delta(console: Console, delta: Delta) -> None:
    """Write the next piece of an answer; one that begins anew gets a new line."""
    if delta.seq == 0:
        console.print()
    console.print(delta.text, end="", markup=False, highlight=False, soft_wrap=True)


def show_size(num_bytes: int) -> str:
    """Write a number of bytes for a person."""
    if num_bytes < 1000:
        return f"{num_bytes} B"
    power = min((len(str(num_bytes)) - 1) // 3, 4)
    return f"{num_bytes / 1000**power:.1f} {'kMGT'[power - 1]}B"


def news_line(path: Sequence[str], body: Any) -> Text:
    """Show something that an agent published.

    Args:
        path: The topic's levels behind the prefix.
        body: What it says: of `status` alone a word, else an object.
    """
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    line = Text(f"{now}  ", "dim")
    match list(path):
        case ["status"]:
            return line.append(f"agent {body}", _COLOURS.get(body, "red"))
        case [camera, "status"]:
            state = str(body["state"])
            line.append(f"{camera} ", "bold").append(state, _COLOURS.get(state, "red"))
            last = body.get("last_chunk")
            return line.append(
                f", {body['chunks']:,} chunks, last {last}" if last else ""
            )
        case [camera, "last_answer"]:
            line.append(f"{camera} ", "bold").append(f"{body['question']} ")
            return line.append(body["state"], "green" if body["status"] == "ok" else "")
        case [camera, *_]:
            line.append(f"{camera} ", "bold")
            return line.append(f"ALERT {body.get('name')}: {body.get('state')}", "red")
    return line
