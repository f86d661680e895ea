"""What both stages share: optimiser, schedule, checkpoints, progress bar and log."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

SAVE_EVERY_S = 60.0
LOG_EVERY = 25
CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How fast is learned, step by step: a linear warm-up, then a cosine.

    Attributes:
        steps: How many.
        warmup: Of them, those that warm up.
        peak: Highest learning rate.
        floor: Lowest at the end, as a part of the peak.
    """

    steps: int
    warmup: int
    peak: float
    floor: float = 0.02

    def rate(self, step: int) -> float:
        """Give the learning rate of one step."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        part = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, part)))
        return self.peak * (self.floor + (1 - self.floor) * cosine)


@dataclass(slots=True)
class Loop:
    """One stage of training; goes on where a checkpoint in `folder` left off.

    Attributes:
        name: Of the stage: the checkpoint's and the log's.
        folder: Where both lie.
        parts: The modules that learn.
        schedule: How fast.
        weight_decay: Of weights with two dimensions or more.
        loss: Gives the loss of a step and figures to show, from the step's number and a
            generator seeded with it.
    """

    name: str
    folder: Path
    parts: nn.ModuleDict
    schedule: Schedule
    loss: Callable[[int], tuple[Tensor, dict[str, float]]]
    weight_decay: float = 0.05
    _step: int = field(default=0, init=False)
    _spent_s: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Train to the end of the schedule."""
        optimiser = torch.optim.AdamW(
            _groups(self.parts, self.weight_decay), lr=0.0, betas=(0.9, 0.98)
        )
        self._resume(optimiser)
        saved = time.monotonic()
        with _progress() as progress:
            task = progress.add_task(self.name, total=self.schedule.steps, figures="")
            while self._step < self.schedule.steps:
                figures = self._train_step(optimiser)
                shown = " ".join(f"{k} {v:.3f}" for k, v in figures.items())
                progress.update(task, completed=self._step, figures=shown)
                if time.monotonic() - saved > SAVE_EVERY_S:
                    self._save(optimiser)
                    saved = time.monotonic()
        self._save(optimiser)

    def _train_step(self, optimiser: torch.optim.Optimizer) -> dict[str, float]:
        started = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = self.schedule.rate(self._step)
        loss, figures = self.loss(self._step)
        loss.backward()
        learning = [p for p in self.parts.parameters() if p.requires_grad]
        nn.utils.clip_grad_norm_(learning, CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        self._step += 1
        self._spent_s += time.monotonic() - started
        if self._step % LOG_EVERY == 0 or self._step == self.schedule.steps:
            line = {"step": self._step, "spent_s": round(self._spent_s, 1), **figures}
            with self._path("log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        return figures

    def _path(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{ending}"

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        state = {
            "step": self._step,
            "spent_s": self._spent_s,
            "parts": self.parts.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        unfinished = self._path("part")
        torch.save(state, unfinished)
        unfinished.rename(self._path("pt"))

    def _resume(self, optimiser: torch.optim.Optimizer) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._path("pt").exists():
            state = torch.load(self._path("pt"), weights_only=True)
            self.parts.load_state_dict(state["parts"])
            optimiser.load_state_dict(state["optimiser"])
            self._step, self._spent_s = state["step"], state["spent_s"]


def _groups(parts: nn.ModuleDict, weight_decay: float) -> Iterable[dict[str, Any]]:
    """Decay matrices only: norms, biases and embeddings keep their size."""
    learning = {n: p for n, p in parts.named_parameters() if p.requires_grad}
    kept = [n for n, p in learning.items() if p.ndim < 2 or "embed" in n]
    decayed = [n for n in learning if n not in kept]
    return [
        {"params": [learning[n] for n in decayed], "weight_decay": weight_decay},
        {"params": [learning[n] for n in kept], "weight_decay": 0.0},
    ]


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
