"""A run that was stopped goes on as if it had not been."""

from pathlib import Path

import torch
from torch import Tensor, nn

from training.loop import Loop, Schedule

STEPS = 8


class StoppedError(Exception):
    """The power went."""


def train(folder: Path, stop_at: int | None = None) -> nn.ModuleDict:
    torch.manual_seed(0)
    parts = nn.ModuleDict({"tower": nn.Linear(4, 4), "heads": nn.Linear(4, 2)})

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == stop_at:
            raise StoppedError
        inputs = torch.full((3, 4), float(step % 3))
        out = parts["heads"](parts["tower"](inputs))
        value = ((out - 1) ** 2).mean()
        return value, {"loss": value.item()}

    Loop("stage", folder, parts, Schedule(STEPS, 2), loss, save_every_s=0.0).run()
    return parts


def test_a_stopped_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    try:
        train(tmp_path / "cut", stop_at=5)
    except StoppedError:
        resumed = train(tmp_path / "cut")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight)
    assert not torch.equal(whole["tower"].weight, train_nothing()["tower"].weight)


def train_nothing() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"tower": nn.Linear(4, 4), "heads": nn.Linear(4, 2)})


def test_the_rate_rises_and_falls() -> None:
    schedule = Schedule(100, 10)
    rates = [schedule.rate(step) for step in range(101)]
    assert max(rates) == 1.0
    assert rates[0] < rates[5] < rates[9]
    assert rates[100] == schedule.floor
