"""The commands about models: list them, check one, calibrate one."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.command_line import AsJson, MaybeConfig, err, fail, load_or_fail, out
from agent.errors import AgentError
from agent.logs import set_up_logging
from ingest.simulation.split import CALIBRATION

app = typer.Typer()

Dtype = Literal["auto", "float32", "bfloat16"]
Weights = Literal["full", "int8", "nf4"]


@app.command()
def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="builtin, folders, or hub repositories; none: all known."),
    ] = None,
    config: MaybeConfig = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the models that can be named, and what an hour of a camera costs."""
    from agent.config_sections import MemoryConfig, ModelConfig
    from agent.model_list import list_models, show_models, watching_of
    from agent.model_settings import model_settings

    settings = None if config is None else load_or_fail(config)
    camera = next(iter(settings.cameras.values())) if settings else None
    watching = watching_of(camera, settings.memory if settings else MemoryConfig())
    model = model_settings(settings.model if settings else ModelConfig())
    try:
        rows = list_models(names or [], model, watching)
    except AgentError as exc:
        fail(str(exc), status=2)
    if as_json:
        out.print_json(json.dumps([row.as_json() for row in rows]))
    else:
        out.print(show_models(rows, watching))


@app.command()
def doctor(  # noqa: PLR0913  # a command has many options
    model: Annotated[
        str | None, typer.Option(help="builtin, a folder, or a hub repository.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of the hub repository.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="What it runs in.")] = None,
    weights: Annotated[
        Weights | None, typer.Option(help="Of the language model.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="What is not given here is taken of it."),
    ] = None,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read only what is on this machine.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option(help="Calibrate it, too; takes longer than all else.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check a model on this machine; exit status 1 if a check fails."""
    from agent.doctor.command import examination_of
    from agent.doctor.examine import examine
    from agent.doctor.report import has_passed, report_json, show_report

    set_up_logging("error", "auto")  # that it was never calibrated is no news here
    options = {
        "name": model,
        "revision": revision,
        "device": device,
        "dtype": dtype,
        "weights": weights,
        "offline": offline or None,
    }
    settings = None if config is None else load_or_fail(config)
    what = examination_of(settings, options, calibrate=calibrate)
    try:
        findings = list(examine(what, err))
    except AgentError as exc:
        fail(str(exc), status=2)
    if as_json:
        out.print_json(json.dumps(report_json(findings)))
    else:
        out.print(show_report(findings))
    if not has_passed(findings):
        raise typer.Exit(1)


@app.command()
def calibrate(  # noqa: PLR0913, PLR0917  # a command has many options
    model: Annotated[
        str, typer.Option(help="builtin, a folder, or a hub repository.")
    ] = "builtin",
    source: Annotated[
        Literal["camera", "text"],
        typer.Option("--with", help="Simulated cameras, or a written log: no vision."),
    ] = "camera",
    streams: Annotated[
        int, typer.Option(min=2, max=len(CALIBRATION), help="Half are held out.")
    ] = 16,
    chunks: Annotated[
        int, typer.Option(min=8, max=128, help="Chunks of a stream.")
    ] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    revision: Annotated[str | None, typer.Option(help="Of the hub repository.")] = None,
    weights: Annotated[
        Weights, typer.Option(help="As the config holds them.")
    ] = "full",
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Write here, not where the model looks for it."),
    ] = None,
) -> None:
    """Find the heads of a model that know which chunk a question means."""
    from agent.calibration.command import calibrate_model
    from agent.calibration.run import Plan
    from agent.vlm.loading import ModelSettings

    set_up_logging("error", "auto")  # that it was never calibrated is no news here
    settings = ModelSettings(model, revision, device, weights=weights)
    try:
        calibrate_model(settings, Plan(source, streams, chunks), out_file, out)
    except (AgentError, OSError) as exc:
        fail(str(exc), status=2)
