"""Stage two: the language model learns to answer from cached visual features."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLTextModel,
    Qwen3VLVisionModel,
)

from ingest.simulation.visit import Colour, Kind
from ingest.simulation.world import seeded
from training.clock import ClockJudge
from training.device import moved
from training.footage import PAIRS_PER_CHUNK, PATCH_VALUES, PATCHES_PER_PAIR, Footage
from training.glance import FactsJudge, Targets, judge_looks, judge_recall
from training.loop import Loop, Schedule
from training.reading import FirstLayer, Glance, Past, read, watch
from training.spread import Spread
from training.streams import Lesson, Teacher
from training.template import Template
from training.vision import Heads, see
from training.vision_stage import unpack

FEATURE_STD, WORD_STD = 1.0, 0.3
_LAST_NORM = 0.2  # so that tied logits begin near 1
_ENDS = 0.2  # of 1 / sqrt(fan in), where a block ends: embeddings speak first
_ALIKE = 2  # heads of a layer that begin by looking for what is like themselves
_QK_NORM = 1.5  # where QK-norm starts: 1 is too blunt for thousands of keys
_CHUNKS_PER_STEP, _QUESTIONS_PER_STEP = 48, 144
_QUESTIONS_TIMES_CHUNKS = 2304  # long streams get fewer questions: attention is dear
_FEWEST_QUESTIONS = 36
_CURRICULUM = (  # part of the steps, lengths of streams
    (0.08, (4,)),
    (0.16, (4, 8)),
    (0.26, (8, 16)),
    (0.35, (8, 16, 32)),
    (0.15, (16, 32, 64, 128)),
)
_CLOCK_WEIGHT = 0.15
_LOOKS_WEIGHT, _FACTS_WEIGHT = 0.3, 0.2
_FORGET = 0.97  # per step, of the accuracy shown


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Longer streams by and by.

    Attributes:
        steps: How many there are.
    """

    steps: int

    def length(self, step: int) -> int:
        """Give the chunks of a stream at a step."""
        done = step / self.steps
        start, lengths = 0.0, _CURRICULUM[0][1]
        for part, next_lengths in _CURRICULUM:
            if done >= start:
                lengths = next_lengths
            start += part
        return lengths[step % len(lengths)]


def scale_features(tower: Qwen3VLVisionModel, footage: Footage) -> None:
    """Scale what the tower gives to `FEATURE_STD`, in its last layer."""
    some = footage.patches[:8].reshape(-1, PATCHES_PER_PAIR, PATCH_VALUES)
    patches = unpack(torch.from_numpy(some)).to(tower.device)
    with torch.inference_mode():
        factor = FEATURE_STD / see(tower, patches).std()
    with torch.no_grad():
        tower.merger.linear_fc2.weight.mul_(factor)
        tower.merger.linear_fc2.bias.mul_(factor)


def cache_features(tower: Qwen3VLVisionModel, footage: Footage, folder: Path) -> Tensor:
    """Run all footage through the tower, (worlds, pairs, 16, C), bfloat16.

    They are kept in a file of the folder, for a run that goes on.
    """
    path = folder / "features.pt"
    if not path.exists():
        device = tower.device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            rows = [
                see(tower, unpack(torch.from_numpy(world).to(device))).bfloat16().cpu()
                for world in track(footage.patches, "visual features")
            ]
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(torch.stack(rows), path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    features: Tensor = torch.load(path, weights_only=True, mmap=True)
    return features


@torch.no_grad()
def init_text(
    model: Qwen3VLTextModel, tokenizer: PreTrainedTokenizerBase, heads: Heads
) -> None:
    """Start the language model; words for what is seen start from the heads' rows."""
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            ends = name.endswith(("o_proj.weight", "down_proj.weight"))
            std = (_ENDS if ends else 1.0) * weight.shape[1] ** -0.5
            nn.init.normal_(weight, std=std)
        elif name.endswith(("q_norm.weight", "k_norm.weight")):
            nn.init.constant_(weight, _QK_NORM)
    nn.init.constant_(model.norm.weight, _LAST_NORM)
    for layer in model.layers:
        attention = layer.self_attn
        alike = _ALIKE * attention.head_dim
        attention.k_proj.weight[:alike] = attention.q_proj.weight[:alike]
    words = model.embed_tokens.weight
    nn.init.normal_(words, std=WORD_STD)
    ids = tokenizer.get_vocab()
    kinds, colours, tens, units = (
        functional.normalize(row - row[1:].mean(dim=0)) for row in heads.rows()[:4]
    )
    size = WORD_STD * words.shape[1] ** 0.5
    for names, rows in ((list(Kind), kinds), (list(Colour), colours)):
        for number, name in enumerate(names):
            words[ids[str(name)]] = size * rows[1 + number]
    for plate in range(10, 100):
        both = tens[plate // 10] + units[plate % 10 + 1]
        words[ids[f"#{plate}"]] = size * 0.5**0.5 * both


class TextStage:
    """What the loop asks for, step by step: deals a lesson and judges the answers."""

    def __init__(
        self,
        module: Qwen3VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        teacher: Teacher,
        seen: tuple[Tensor, Tensor],
        curriculum: Curriculum,
    ) -> None:
        self.model: Qwen3VLTextModel = module.model.language_model
        self._teacher, self._curriculum = teacher, curriculum
        self.device: torch.device = module.device
        self._features, self._labels = moved(seen, self.device)
        self.template = Template(module, tokenizer)
        size = module.config.text_config.hidden_size
        self.clock = ClockJudge(size, self.template.layout, self.read_tokens)
        self.clock.to(self.device)
        self.facts = FactsJudge(size).to(self.device)
        self.shown: dict[str, float] = {}

    @property
    def parts(self) -> nn.ModuleDict:
        """What learns: the model, and the judges that are thrown away afterwards."""
        return nn.ModuleDict(
            {"model": self.model, "clock": self.clock, "facts": self.facts}
        )

    @property
    def read_tokens(self) -> Tensor:
        """Of a chunk's tokens, those in which questions find what it shows."""
        return self.template.layout.visual_tokens

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Give the loss of one step and the running accuracy by type."""
        lesson, rng = self.deal(step)
        labels = self._labels_of(lesson)
        with torch.autocast(self.device.type, torch.bfloat16):
            pasts, first = self.watch(lesson)
            sought = Targets.of(lesson.keys, labels)
            hidden, glance, to_read = self.ask(lesson, pasts, sought, rng)
            clock = self.clock(first, lesson.stamps)
            loss = self._judge(hidden, lesson)
        keys, stamps = lesson.keys, lesson.stamps.flatten(1)
        looks = judge_looks(glance.looks, keys, to_read)
        facts = self.facts(glance.finds, keys, labels, stamps, sought)
        recall = judge_recall(glance, keys, lesson.answers)
        for name, part in (
            *(("answers", loss), ("recall", recall), ("looks", looks)),
            *(("facts", facts), ("clock", clock)),
        ):
            self._note(name, part.item())
        helped = _CLOCK_WEIGHT * clock + _FACTS_WEIGHT * facts
        helped = helped + _LOOKS_WEIGHT * (looks + recall)
        return loss + helped, dict(self.shown)

    def ask(
        self,
        lesson: Lesson,
        pasts: list[Past],
        targets: Targets,
        rng: np.random.Generator,
    ) -> tuple[Tensor, Glance, Targets]:
        """Ask a lesson's questions over what was prefilled.

        Args:
            lesson: What is asked.
            pasts: Keys and values of its chunks, of every layer.
            targets: Where what is asked about is to be seen.
            rng: For where the chunks stand.

        Returns:
            Hidden states where answers are given, (G, Q, A, C); the glance, its looks
            at the sink and at what is read of the chunks only; the targets among that.
        """
        places = self.template.places
        spread = Spread.deal(rng, *lesson.chunks.shape, places.span)
        spread = moved(spread, self.device)
        hidden, glance = read(self.model, pasts, places, spread, lesson.asked)
        chunk = torch.arange(lesson.chunks.shape[1], device=self.device)[:, None]
        visual = chunk * len(self.template.layout.token_ids) + self.read_tokens
        sink = torch.arange(len(self.template.sink_ids), device=self.device)
        kept = torch.cat((sink, len(sink) + visual.flatten()))
        return hidden, replace(glance, looks=glance.looks[..., kept]), targets

    def deal(self, step: int) -> tuple[Lesson, np.random.Generator]:
        """Give the lesson of a step, and what further chance it needs."""
        length = self._curriculum.length(step)
        streams = max(1, _CHUNKS_PER_STEP // length)
        questions = min(_QUESTIONS_PER_STEP, _QUESTIONS_TIMES_CHUNKS // length)
        questions = max(_FEWEST_QUESTIONS, questions) // streams
        self.shown["chunks"] = length
        lesson = self._teacher.deal(step, streams, length, questions)
        return moved(lesson, self.device), seeded(self._teacher.seed, 2, step)

    def watch(self, lesson: Lesson) -> tuple[list[Past], FirstLayer]:
        """Prefill a lesson's chunks from cached features."""
        ids = self.template.chunk_ids(lesson.stamps)  # (G, N, S)
        seen = self._features[lesson.worlds[..., None], _pairs_of(lesson)].flatten(2, 3)
        chunks = self.model.embed_tokens(ids)
        visual = self.template.layout.visual_tokens
        chunks = chunks.index_copy(2, visual, seen.to(chunks.dtype))  # (G, N, S, C)
        template = self.template
        return watch(self.model, template.sink_ids, chunks, template.places)

    def _judge(self, hidden: Tensor, lesson: Lesson) -> Tensor:
        logits = functional.linear(hidden, self.model.embed_tokens.weight)
        self._note_right(logits, lesson)
        return functional.cross_entropy(
            logits.float().flatten(0, -2), lesson.answers.flatten(), ignore_index=-100
        )

    def _labels_of(self, lesson: Lesson) -> Tensor:
        """Give the labels of the streams' visual tokens, (G, N pairs V, A)."""
        labels = self._labels[lesson.worlds[..., None], _pairs_of(lesson)]
        return labels.flatten(1, 3).long()

    def _note_right(self, logits: Tensor, lesson: Lesson) -> None:
        same = logits.argmax(dim=-1) == lesson.answers
        right = (same | (lesson.answers == -100)).all(dim=-1).tolist()  # G lists of Q
        by_type: dict[str, list[bool]] = {}
        for types, told in zip(lesson.types, right, strict=True):
            for type, is_right in zip(types, told, strict=True):
                by_type.setdefault(type.value, []).append(is_right)
        for name, told in by_type.items():
            self._note(name, sum(told) / len(told))

    def _note(self, name: str, value: float) -> None:
        before = self.shown.get(name, value)
        self.shown[name] = _FORGET * before + (1 - _FORGET) * value


def _pairs_of(lesson: Lesson) -> Tensor:
    """Give the frame pairs of a lesson's chunks, in their worlds, (G, N, pairs)."""
    pairs = torch.arange(PAIRS_PER_CHUNK, device=lesson.chunks.device)
    return lesson.chunks[..., None] * PAIRS_PER_CHUNK + pairs


def train_text(stage: TextStage, folder: Path, schedule: Schedule) -> None:
    """Train the language model on what the stage deals."""
    stage.model.requires_grad_(requires_grad=True)
    Loop("text", folder, stage.parts, schedule, stage.loss).run()
