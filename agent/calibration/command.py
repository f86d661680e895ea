"""`longwatch calibrate`: load a model, calibrate it, keep and show what was found."""

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agent.calibration.run import Plan, Report, calibrate
from agent.vlm.calibrated_heads import save_heads
from agent.vlm.loading import ModelSettings, heads_places, load_model
from agent.vlm.model import VisionLanguageModel


def calibrate_model(
    settings: ModelSettings, plan: Plan, out_file: Path | None, out: Console
) -> None:
    """Load a model, calibrate it, and show what was found.

    Raises:
        ModelLoadError: The model can't be loaded.
        CalibrationFailedError: No head does better than chance.
        OSError: The file can't be written.
    """
    report, place = calibrate_loaded(load_model(settings), plan, out_file, out)
    out.print(_table(report))
    out.print(f"written to {place}", soft_wrap=True)


def calibrate_loaded(
    model: VisionLanguageModel, plan: Plan, out_file: Path | None, progress_on: Console
) -> tuple[Report, Path]:
    """Calibrate a model and write its heads to a file.

    Args:
        model: With the heads it has until now.
        plan: How much is watched.
        out_file: Write here; None: where the model looks for it.
        progress_on: Where it is told how far this is, if that is a terminal.

    Returns:
        What was found, and where it was written to.

    Raises:
        CalibrationFailedError: No head does better than chance.
        OSError: The file can't be written.
    """
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    is_seen = progress_on.is_terminal
    with Progress(*columns, console=progress_on, disable=not is_seen) as progress:
        task = progress.add_task("watching made-up streams", total=plan.steps)
        report = calibrate(model, plan, lambda: progress.advance(task))
    places = heads_places(model) if out_file is None else [out_file]
    return report, save_heads(report.found, places)


def _table(report: Report) -> Table:
    """Show what was found beside what it replaces."""
    found = report.found
    names = " ".join(f"({layer},{head})" for layer, head in found.heads)
    title = f"{found.questions} questions held out, {found.chunks} chunks"
    table = Table("heads", "right at 1, %", "at 4, %", title=title, box=SIMPLE)
    now = {"recall_at_1": found.recall_at_1, "recall_at_4": found.recall_at_4}
    rows = {f"found: {names}": now, "until now": report.before, "all": report.every}
    for name, recall in rows.items():
        table.add_row(name, *(f"{100 * share:.0f}" for share in recall.values()))
    return table
