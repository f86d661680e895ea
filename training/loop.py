"""What the stages share: schedule, checkpoints, progress bar and log."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn

from training.optimiser import Optimiser

LOG_EVERY = 25
CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How fast is learned, step by step: a linear warm-up, then a cosine.

    Attributes:
        steps: How many.
        warmup: Of them, those that warm up.
        floor: Lowest rate at the end, as a part of the highest.
    """

    steps: int
    warmup: int
    floor: float = 0.02

    def rate(self, step: int) -> float:
        """Give the rate of one step, as a part of the highest."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        part = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, part)))
        return self.floor + (1 - self.floor) * cosine


@dataclass(slots=True)
class Loop:
    """One stage of training; goes on where a checkpoint in `folder` left off.

    Attributes:
        name: Of the stage: the checkpoint's and the log's.
        folder: Where both lie.
        parts: The modules that learn.
        schedule: How fast.
        loss: Gives the loss of a step and figures to show, from the step's number
            alone, so that a run that goes on learns what a whole one does.
        save_every_s: Seconds between checkpoints.
    """

    name: str
    folder: Path
    parts: nn.ModuleDict
    schedule: Schedule
    loss: Callable[[int], tuple[Tensor, dict[str, float]]]
    save_every_s: float = 60.0
    _step: int = field(default=0, init=False)
    _spent_s: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Train to the end of the schedule."""
        optimiser = Optimiser(self.parts)
        self._resume(optimiser)
        saved = time.monotonic()
        with _progress() as progress:
            task = progress.add_task(self.name, total=self.schedule.steps, figures="")
            while self._step < self.schedule.steps:
                figures = self._train_step(optimiser)
                shown = " ".join(f"{k} {v:.3f}" for k, v in figures.items())
                progress.update(task, completed=self._step, figures=shown)
                if time.monotonic() - saved > self.save_every_s:
                    self._save(optimiser)
                    saved = time.monotonic()
        self._save(optimiser)

    def _train_step(self, optimiser: Optimiser) -> dict[str, float]:
        started = time.monotonic()
        loss, figures = self.loss(self._step)
        loss.backward()
        optimiser.step(self.schedule.rate(self._step), CLIP)
        self._step += 1
        self._spent_s += time.monotonic() - started
        if self._step % LOG_EVERY == 0 or self._step == self.schedule.steps:
            line = {"step": self._step, "spent_s": round(self._spent_s, 1), **figures}
            with self._path("log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        return figures

    def _path(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{ending}"

    def _save(self, optimiser: Optimiser) -> None:
        state = {
            "step": self._step,
            "spent_s": self._spent_s,
            "parts": self.parts.state_dict(),
            "optimiser": optimiser.state(),
        }
        unfinished = self._path("part")
        torch.save(state, unfinished)
        unfinished.rename(self._path("pt"))

    def _resume(self, optimiser: Optimiser) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._path("pt").exists():
            state = torch.load(self._path("pt"), map_location="cpu", weights_only=True)
            self.parts.load_state_dict(state["parts"])
            optimiser.load(state["optimiser"])
            self._step, self._spent_s = state["step"], state["spent_s"]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        speed_estimate_period=120,
    )
