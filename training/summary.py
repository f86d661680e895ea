"""Train a model to write summaries: `python -m training.summary --model DIR --out DIR`.

What Video-XL trains (arXiv 2409.14485), to be held against what Longwatch does without:
behind each frame pair stand summary tokens, a sparse set and a dense one, and questions
may read nothing else of a chunk. Weights go on from those of a trained model; its
vision tower stays as it is. `--device cuda` has not been run.

    G  streams   N  chunks of a stream   S  tokens of a chunk
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from agent.vlm.builtin import SUMMARY_TOKENS
from training.device import Device, choose_device
from training.export import export
from training.footage import PAIRS_PER_CHUNK, make_footage
from training.glance import Targets
from training.loop import Loop, Schedule
from training.reading import Glance, Past, Places, read
from training.split import Split
from training.spread import Spread
from training.streams import Lesson, Teacher
from training.text_stage import Curriculum, TextStage, cache_features
from training.train import QUICK, Effort, seed_torch

_DENSE = 0.3  # of chunks, those that are read by their dense set
_STEPS, _QUICK_STEPS = 1800, 10


@dataclass(frozen=True, slots=True)
class Kept:
    """What questions may read of every chunk of a lesson.

    Attributes:
        tokens: The summary tokens of both sets, (S',).
        unseen: Of the streams' summary tokens, those of the set not read, (G, N S').
        spread: Where chunks stand: as wide as the set that is read.
    """

    tokens: Tensor
    unseen: Tensor
    spread: Spread

    @classmethod
    def deal(
        cls, rng: np.random.Generator, summaries: tuple[Tensor, ...], shape: torch.Size
    ) -> "Kept":
        """Deal each chunk, (G, N), the sparse or the dense set."""
        dense = torch.from_numpy(rng.random(tuple(shape)) < _DENSE)
        return cls.of_levels(summaries, dense.to(summaries[0].device))

    @classmethod
    def of_levels(cls, summaries: tuple[Tensor, ...], dense: Tensor) -> "Kept":
        """Read the dense set of the chunks that are told, (G, N)."""
        tokens = torch.cat(summaries)
        sparse, thick = (len(places) for places in summaries)
        is_dense = torch.arange(len(tokens), device=tokens.device) >= sparse
        unseen = (is_dense != dense[..., None]).flatten(1)
        widths = torch.where(dense, thick, sparse)
        return cls(tokens, unseen, Spread.close(widths))

    def places(self, places: Places) -> Places:
        """Give where the summary tokens of a chunk stand."""
        return replace(places, chunk=places.chunk[:, self.tokens])

    def past(self, past: Past) -> Past:
        """Give the keys and values of the summary tokens."""
        keys, values = (part[..., self.tokens, :] for part in (past.keys, past.values))
        return replace(past, keys=keys, values=values)


class SummaryStage(TextStage):
    """As the text stage, but questions read summary tokens only."""

    @property
    def read_tokens(self) -> Tensor:
        """Of a chunk's tokens, those of both sets."""
        return torch.cat(self.template.layout.summaries)

    def ask(
        self,
        lesson: Lesson,
        pasts: list[Past],
        targets: Targets,
        rng: np.random.Generator,
    ) -> tuple[Tensor, Glance, Targets]:
        """Ask over one set of each chunk; what a frame pair shows, its set shows."""
        layout, chunks = self.template.layout, lesson.chunks.shape[1]
        kept = Kept.deal(rng, layout.summaries, lesson.chunks.shape)
        places = kept.places(self.template.places)
        written = [kept.past(past) for past in pasts]
        hidden, glance = read(
            self.model, written, places, kept.spread, lesson.asked, kept.unseen
        )
        pair = kept.tokens * PAIRS_PER_CHUNK // len(layout.token_ids)
        pairs = (
            torch.arange(chunks, device=self.device)[:, None] * PAIRS_PER_CHUNK + pair
        )
        return hidden, glance, targets.among(pairs.flatten(), kept.unseen)


def main(  # noqa: PLR0913 - a command has many options
    out: Annotated[Path, typer.Option(help="folder of the trained model")],
    model: Annotated[Path, typer.Option(help="folder of the model to go on from")],
    work: Annotated[Path, typer.Option(help="footage, checkpoints, logs")] = Path(
        "data/training"
    ),
    seed: Annotated[int, typer.Option(help="of batches and questions")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    device: Device = "auto",
    *,
    quick: Annotated[bool, typer.Option(help="a minute's try-out")] = False,
) -> None:
    """Train summary tokens and write the model to a folder."""
    torch.set_num_threads(threads)
    seed_torch(seed)
    effort, steps = (QUICK, _QUICK_STEPS) if quick else (Effort(), _STEPS)
    tokenizer = AutoTokenizer.from_pretrained(model)
    module = Qwen3VLForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
    ids = tokenizer.convert_tokens_to_ids(list(SUMMARY_TOKENS))
    module.config.summary_token_ids = [ids[:1], ids[1:]]
    footage = make_footage(work / "footage", Split.TRAIN, effort.worlds, effort.chunks)
    module.to(choose_device(device)).requires_grad_(requires_grad=False)
    run = work / f"summary-{seed}"
    features = cache_features(module.model.visual, footage, run)
    teacher = Teacher(footage.worlds, footage.chunks, tokenizer, seed)
    curriculum = Curriculum(steps)
    seen = (features, torch.from_numpy(np.array(footage.labels)))
    stage = SummaryStage(module, tokenizer, teacher, seen, curriculum)
    stage.model.requires_grad_(requires_grad=True)
    Loop("summary", run, stage.parts, Schedule(steps, steps // 10), stage.loss).run()
    export(module, tokenizer, out)


if __name__ == "__main__":
    typer.run(main)
