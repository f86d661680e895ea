"""Build the built-in model from a seed: `python -m training.train --out DIR --seed 0`.

Footage, checkpoints and logs lie in a working folder; a run that was stopped goes on
where it left off. `--device cuda` has not been run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from agent.vlm import builtin
from training.crowds import make_crowds
from training.device import Device, choose_device
from training.export import export
from training.footage import make_footage
from training.loop import Schedule
from training.split import Split
from training.streams import Teacher
from training.text_stage import (
    Curriculum,
    TextStage,
    cache_features,
    init_text,
    scale_features,
    train_text,
)
from training.vision_stage import init_vision, train_vision


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is trained.

    Attributes:
        worlds: Worlds to learn from.
        chunks: Chunks of each.
        crowds: Worlds with crowds before them.
        vision_steps: Of stage one.
        text_steps: Of stage two.
    """

    worlds: int = 1000
    chunks: int = 38
    crowds: int = 600
    vision_steps: int = 5000
    text_steps: int = 1800


QUICK = Effort(worlds=20, crowds=20, vision_steps=40, text_steps=20)


def build(
    seed: int, effort: Effort, work: Path, device: torch.device
) -> tuple[Qwen3VLForConditionalGeneration, PreTrainedTokenizerBase]:
    """Train both stages on a device; give the model and its tokenizer."""
    seed_torch(seed)
    tokenizer = builtin.build_tokenizer()
    module = builtin.build_module(builtin.build_config(tokenizer))
    tower, model = module.model.visual, module.model.language_model
    footage = make_footage(work / "footage", Split.TRAIN, effort.worlds, effort.chunks)
    run = work / f"seed-{seed}"
    init_vision(tower)
    tower.to(device)
    crowds = make_crowds(work / "footage", effort.crowds)
    heads = train_vision(tower, (footage, crowds), run, effort.vision_steps, seed)
    tower.requires_grad_(requires_grad=False)
    scale_features(tower, footage)
    features = cache_features(tower, footage, run)
    seed_torch(seed + 1)
    init_text(model, tokenizer, heads.cpu())
    module.to(device)
    teacher = Teacher(footage.worlds, footage.chunks, tokenizer, seed)
    curriculum = Curriculum(effort.text_steps)
    labels = torch.from_numpy(np.array(footage.labels))
    stage = TextStage(module, tokenizer, teacher, (features, labels), curriculum)
    schedule = Schedule(effort.text_steps, min(150, effort.text_steps // 4))
    train_text(stage, run, schedule)
    return module, tokenizer


def seed_torch(seed: int) -> None:
    """Begin torch's own random numbers anew; it takes 64 bits of a seed."""
    torch.manual_seed(seed % 2**64)


def main(
    out: Annotated[Path, typer.Option(help="folder of the trained model")],
    seed: Annotated[int, typer.Option(help="any whole number")] = 0,
    work: Annotated[Path, typer.Option(help="footage, checkpoints, logs")] = Path(
        "data/training"
    ),
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    device: Device = "auto",
    *,
    quick: Annotated[bool, typer.Option(help="a minute's try-out")] = False,
) -> None:
    """Train the built-in model and write it to a folder."""
    torch.set_num_threads(threads)
    effort, work = (QUICK, work / "quick") if quick else (Effort(), work)
    module, tokenizer = build(seed, effort, work, choose_device(device))
    export(module, tokenizer, out)


if __name__ == "__main__":
    typer.run(main)
