"""A run that was stopped goes on as if it had not been."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.loop import Loop, Schedule

STEPS = 8


class StoppedError(Exception):
    """The power went."""


def make_parts() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"tower": nn.Linear(4, 4), "heads": nn.Linear(4, 2)})


def train(
    folder: Path, stop_at: int | None = None
) -> tuple[dict[str, Tensor], list[int]]:
    """Give the weights at the end, and the steps that were taken."""
    parts, steps = make_parts(), []

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == stop_at:
            raise StoppedError
        steps.append(step)
        inputs = torch.full((3, 4), float(step % 3))
        out = parts["heads"](parts["tower"](inputs))
        value = ((out - 1) ** 2).mean()
        return value, {"loss": value.item()}

    Loop("stage", folder, parts, Schedule(STEPS, 2), loss, save_every_s=0.0).run()
    return parts.state_dict(), steps


def test_a_stopped_run_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(tmp_path / "cut", stop_at=5)
    resumed, steps = train(tmp_path / "cut")
    assert steps == [5, 6, 7]
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight)
        assert not torch.equal(weight, make_parts().state_dict()[name])


def test_the_rate_rises_and_falls() -> None:
    schedule = Schedule(100, 10)
    rates = [schedule.rate(step) for step in range(101)]
    assert max(rates) == 1.0
    assert rates[0] < rates[5] < rates[9]
    assert rates[100] == schedule.floor
