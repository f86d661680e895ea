"""Stage one: the vision tower learns to tell what every visual token shows."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

from ingest.simulation.world import seeded
from training.crowds import Crowds
from training.footage import Footage
from training.labels import ATTRIBUTES, IGNORED, TENS, UNITS
from training.loop import Loop, Schedule
from training.vision import Heads, see

_SHARES = (12, 36)  # frame pairs of a step: footage, crowds
_WEIGHTS = (1.0, 1.0, 2.0, 2.0, 1.0, 0.5)  # of the attributes, in the loss
_WITH_NONE = (0, TENS, UNITS, 5)  # attributes of which tokens learn to say none
_NONE_WEIGHT = 0.5


def init_vision(tower: Qwen3VLVisionModel) -> None:
    """Start matrices at 1 / sqrt(fan in), half of it where they end a block."""
    for name, weight in tower.named_parameters():
        if name.startswith("pos_embed"):
            nn.init.normal_(weight, std=0.1)
        elif weight.ndim > 1:
            ends = name.endswith(("attn.proj.weight", "mlp.linear_fc2.weight"))
            fan_in = weight[0].numel()
            nn.init.normal_(weight, std=(0.5 if ends else 1.0) * fan_in**-0.5)


def train_vision(
    tower: Qwen3VLVisionModel,
    seen: tuple[Footage, Crowds],
    folder: Path,
    steps: int,
    seed: int,
) -> Heads:
    """Train the tower where it is; give the heads it was trained with."""
    heads = Heads(tower.config.out_hidden_size, [a.classes for a in ATTRIBUTES])
    heads.to(tower.device)
    parts = nn.ModuleDict({"tower": tower, "heads": heads})
    batches = _Batches(*seen, seed)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        patches, labels = (part.to(tower.device) for part in batches.deal(step))
        with torch.autocast(tower.device.type, torch.bfloat16):
            logits = heads(see(tower, patches))
        return judge(logits, labels)

    schedule = Schedule(steps, min(150, steps // 4))
    parts.requires_grad_(requires_grad=True)
    Loop("vision", folder, parts, schedule, loss).run()
    return heads


def judge(logits: list[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Give the loss and the part of occupied tokens that is told right.

    Args:
        logits: Of each attribute, (B, V, classes).
        labels: (B, V, A), int64.
    """
    occupied = labels[..., 0] > 0  # (B, V)
    plates = (labels[..., TENS] > 0)[occupied]
    loss, right = torch.zeros(()), []
    for number, part in enumerate(logits):
        rate, wanted = part.float(), labels[..., number]
        each = functional.cross_entropy(
            rate.flatten(0, 1),
            wanted.flatten(),
            ignore_index=IGNORED,
            reduction="none",
        ).view_as(wanted)
        loss = loss + _WEIGHTS[number] * each[wanted > 0].mean()
        if number in _WITH_NONE:
            loss = loss + _NONE_WEIGHT * each[wanted == 0].mean()
        right.append((rate.argmax(dim=-1) == wanted)[occupied])
    plate = (right[TENS] & right[UNITS])[plates]
    figures = {"loss": loss.item(), "plate": plate.float().mean().item()}
    for number, attribute in enumerate(ATTRIBUTES):
        if number in (TENS, UNITS):
            continue
        figures[attribute.name] = right[number].float().mean().item()
    return loss, figures


class _Batches:
    """Deals frame pairs of footage and of crowds, the same for the same step."""

    def __init__(self, footage: Footage, crowds: Crowds, seed: int) -> None:
        self._parts = [
            (
                patches.reshape(-1, *patches.shape[2:]),
                labels.reshape(-1, *labels.shape[2:]),
            )
            for patches, labels in ((footage.patches, footage.labels), crowds)
        ]
        self._seed = seed

    def deal(self, step: int) -> tuple[Tensor, Tensor]:
        """Give patches (B, P, values) and labels (B, V, A)."""
        rng = seeded(self._seed, 1, step)
        dealt: list[tuple[Tensor, Tensor]] = []
        for (patches, labels), count in zip(self._parts, _SHARES, strict=True):
            chosen = rng.integers(len(patches), size=count)
            dealt.append(
                (torch.from_numpy(patches[chosen]), torch.from_numpy(labels[chosen]))
            )
        patches_, labels_ = (torch.cat(part) for part in zip(*dealt, strict=True))
        return unpack(patches_), labels_.long()


def unpack(patches: Tensor) -> Tensor:
    """Give patches kept as bytes as the model reads them."""
    return patches.float() / 127.5 - 1
