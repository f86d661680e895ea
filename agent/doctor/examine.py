"""All checks of a model, one after the other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from rich.console import Console

from agent.calibration.command import calibrate_loaded
from agent.calibration.run import Plan
from agent.doctor import answers, checks, conformance, speed
from agent.doctor.finding import Finding, Verdict
from agent.doctor.footage import film
from agent.errors import AgentError
from agent.vlm.catalogue import Watching, describe_model
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from agent.vlm.quantised import stored_tensors
from memory.errors import MemoryStoreError

_CALIBRATION = "calibration"
# What a model whose files are not as we think may raise, wherever it is run.
_UNFIT = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, OSError)


@dataclass(frozen=True, slots=True)
class Examination:
    """What is checked.

    Attributes:
        settings: Which model, and how it is loaded.
        watching: What one camera shows, for what an hour of it costs.
        plan: How it is calibrated, or None: it is not.
    """

    settings: ModelSettings
    watching: Watching
    plan: Plan | None


def examine(what: Examination, progress_on: Console) -> Iterator[Finding]:
    """Load a model and check it, check by check.

    Args:
        what: What is checked.
        progress_on: Where it is told how far this is, if that is a terminal.

    Raises:
        ModelLoadError: The model can't be loaded.
    """
    if progress_on.is_terminal:
        progress_on.print(f"loading {what.settings.name}", soft_wrap=True)
    began_s = time.monotonic()
    model = load_model(what.settings)
    yield _told(model, time.monotonic() - began_s)
    footage = film()
    steps: dict[str, Callable[[], Finding]] = {
        checks.FRAMES: lambda: checks.check_frames(model, what.settings, footage),
        checks.TOKENS: lambda: checks.check_tokens(model),
        conformance.NAME: lambda: conformance.check_conformance(model, footage),
        speed.NAME: lambda: speed.check_speed(model, footage),
        "cost": lambda: _cost(what),
        answers.NAME: lambda: answers.show_answers(model, footage),
    }
    for name, step in steps.items():
        with progress_on.status(f"checking {name}"):
            finding = _run(name, step)
        yield finding
    yield _run(_CALIBRATION, lambda: _calibrated(model, what.plan, progress_on))


def _run(name: str, step: Callable[[], Finding]) -> Finding:
    """Run a check; one that the model breaks has failed, and the next one is run."""
    try:
        return step()
    except (AgentError, MemoryStoreError) as exc:
        return Finding(name, Verdict.FAILED, str(exc))
    except _UNFIT as exc:
        return Finding(name, Verdict.FAILED, f"{type(exc).__name__}: {exc}")


def _told(model: VisionLanguageModel, load_s: float) -> Finding:
    """Tell what was loaded; weights that share memory are counted once."""
    sizes = {w.data_ptr(): w.nbytes for _, w in stored_tensors(model.module)}
    num_bytes = sum(sizes.values())
    dtype = str(model.module.dtype).removeprefix("torch.")
    figure = (
        f"{model.name}: {model.family.title} on {model.device}, {dtype};"
        f" {num_bytes / 1e6:,.0f} MB of weights, loaded in {load_s:.1f} s"
    )
    data = {
        "model": model.name,
        "family": model.family.title,
        "device": str(model.device),
        "dtype": dtype,
        "weight_bytes": num_bytes,
        "load_s": load_s,
    }
    return Finding("model", Verdict.PASSED, figure, data)


def _cost(what: Examination) -> Finding:
    """Tell what it costs to remember an hour of a camera."""
    facts, watching = describe_model(what.settings, what.watching), what.watching
    figure = (
        f"{facts.num_layers} layers, {facts.num_kv_heads} KV heads,"
        f" {facts.token_bytes:,} bytes per token,"
        f" {facts.frame_tokens:g} tokens per frame;"
        f" an hour at {watching.fps:g} frames/s: {facts.high_gb_per_hour:.3g} GB of H"
        f" (1/{watching.high_factor:g}), {facts.low_gb_per_hour:.3g} GB of L"
        f" (1/{watching.low_factor:g})"
    )
    return Finding("cost", Verdict.NONE, figure, asdict(facts))


def _calibrated(
    model: VisionLanguageModel, plan: Plan | None, progress_on: Console
) -> Finding:
    """Find and keep the model's retrieval heads, as `longwatch calibrate` does."""
    if plan is None:
        return Finding(_CALIBRATION, Verdict.NONE, "not asked for")
    report, place = calibrate_loaded(model, plan, None, progress_on)
    found = report.found
    figure = (
        f"{len(found.heads)} heads find the right chunk for {found.recall_at_1:.0%}"
        f" of {found.questions} questions, until now"
        f" {report.before['recall_at_1']:.0%}; written to {place}"
    )
    data = {"heads": found.heads, "recall_at_1": found.recall_at_1}
    data |= {"recall_at_4": found.recall_at_4, "before": report.before}
    return Finding(_CALIBRATION, Verdict.PASSED, figure, data | {"file": str(place)})
