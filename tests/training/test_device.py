"""The way of a GPU without one: tensors that have a device and no numbers.

The device is torch's "meta", which is like a GPU in that its tensors refuse to meet
those of a CPU. What this cannot show is that kernels, autocast and moving work there.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import typer
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from agent.vlm import builtin
from training.device import choose_device
from training.footage import PAIRS_PER_CHUNK, tell
from training.labels import ATTRIBUTES
from training.split import Split
from training.streams import Teacher
from training.summary import SummaryStage
from training.text_stage import Curriculum, TextStage
from training.vision import Heads, see

CHUNKS = 8
WORLDS = [Split.TRAIN.world(number) for number in range(3)]
AWAY = torch.device("meta")


def move(module: nn.Module, device: torch.device) -> nn.Module:
    """Move weights as `Module.to` does, which fake ones do not allow."""
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            part.register_parameter(name, nn.Parameter(weight.detach().to(device)))
        for name, value in part.named_buffers(recurse=False):
            setattr(part, name, value.to(device))
    return module


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(nn.Module, "to", move)
    monkeypatch.setattr(torch, "autocast", lambda *_: nullcontext())
    figures = ShapeEnv(allow_scalar_outputs=True, allow_dynamic_output_shape_ops=True)
    with FakeTensorMode(shape_env=figures, allow_non_fake_inputs=True):
        yield


class Unnoted:
    """A stage that keeps no figures: there are none."""

    def _note_right(self, *_: object) -> None: ...

    def _note(self, *_: object) -> None: ...


class UnnotedText(Unnoted, TextStage): ...


class UnnotedSummary(Unnoted, SummaryStage): ...


@pytest.mark.parametrize("stage_type", [UnnotedText, UnnotedSummary])
def test_a_lesson_is_learned_on_one_device(stage_type: type[TextStage]) -> None:
    tokenizer = builtin.build_tokenizer()
    module = builtin.build_module(builtin.build_config(tokenizer))
    ids = tokenizer.convert_tokens_to_ids(list(builtin.SUMMARY_TOKENS))
    module.config.summary_token_ids = [ids[:1], ids[1:]]
    module.to(AWAY)
    pairs = CHUNKS * PAIRS_PER_CHUNK
    features = torch.zeros(
        len(WORLDS), pairs, 16, module.config.text_config.hidden_size
    )
    labels = torch.from_numpy(np.stack([tell(world, pairs) for world in WORLDS]))
    teacher = Teacher(WORLDS, CHUNKS, tokenizer, 0)
    seen = (features.bfloat16(), labels)
    stage = stage_type(module, tokenizer, teacher, seen, Curriculum(10))
    loss, _ = stage.loss(1)
    loss.backward()
    learned = [p for p in stage.parts.parameters() if p.grad is not None]
    assert {p.device for p in stage.parts.parameters()} == {AWAY}
    assert len(learned) > 20


def test_pictures_are_seen_on_one_device() -> None:
    module = builtin.build_module(builtin.build_config(builtin.build_tokenizer()))
    tower = move(module.model.visual, AWAY)
    heads = move(
        Heads(tower.config.out_hidden_size, [a.classes for a in ATTRIBUTES]), AWAY
    )
    told = heads(see(tower, torch.zeros(3, 64, 384, device=AWAY)))
    assert {part.device for part in told} == {AWAY}


def test_tensors_of_two_devices_do_meet_with_an_error() -> None:
    with pytest.raises(RuntimeError, match="two devices"):
        torch.zeros(3, device=AWAY) + torch.zeros(3)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(typer.BadParameter, match="no cuda device"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")
