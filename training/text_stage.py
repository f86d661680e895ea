"""Stage two: the language model learns to answer from cached visual features."""

from dataclasses import dataclass
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

from agent.vlm.prompt import Prompt
from agent.vlm.qwen3_vl import ChunkLayout, lay_out, time_stamp
from ingest.simulation.visit import Colour, Kind
from training.footage import PAIRS_PER_CHUNK, Footage
from training.glance import GlanceJudge
from training.labels import CELLS
from training.loop import Loop, Schedule
from training.reading import Glance, Places, read, watch
from training.spread import Spread
from training.streams import Lesson, Teacher
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
    (0.1, (4,)),
    (0.2, (4, 8)),
    (0.3, (8, 16)),
    (0.25, (8, 16, 32)),
    (0.15, (16, 32, 64, 128)),
)
_CLOCK_WEIGHT = 0.15
_CLOCK = (24, 60, 60)
_LOOKS_WEIGHT, _FACTS_WEIGHT = 0.3, 0.2
_FORGET = 0.97  # per step, of the accuracy shown


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Longer streams by and by."""

    steps: int

    def length(self, step: int) -> int:
        """Give the chunks of a stream at a step."""
        begun = 0.0
        lengths = _CURRICULUM[0][1]
        for part, next_lengths in _CURRICULUM:
            if step >= begun * self.steps:
                lengths = next_lengths
            begun += part
        return lengths[step % len(lengths)]


def scale_features(tower: Qwen3VLVisionModel, footage: Footage) -> None:
    """Scale what the tower gives to `FEATURE_STD`, in its last layer."""
    patches = unpack(torch.from_numpy(footage.patches[:8].reshape(-1, 64, 384)))
    with torch.inference_mode():
        factor = FEATURE_STD / see(tower, patches).std()
    with torch.no_grad():
        tower.merger.linear_fc2.weight.mul_(factor)
        tower.merger.linear_fc2.bias.mul_(factor)


@torch.inference_mode()
def cache_features(tower: Qwen3VLVisionModel, footage: Footage) -> Tensor:
    """Run all footage through the tower, (worlds, pairs, 16, C), bfloat16."""
    rows = []
    for world in track(footage.patches, "visual features"):
        with torch.autocast("cpu", torch.bfloat16):
            rows.append(see(tower, unpack(torch.from_numpy(world))).bfloat16())
    return torch.stack(rows)


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
        self._model: Qwen3VLTextModel = module.model.language_model
        self._teacher, self._curriculum = teacher, curriculum
        self._seed = teacher.seed
        self._features, self._labels = seen[0], seen[1].long()
        self._template = Template(module, tokenizer)
        size = module.config.text_config.hidden_size
        self.clock = nn.Linear(size, sum(_CLOCK))
        self.glance = GlanceJudge(size)
        self._shown: dict[str, float] = {}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Give the loss of one step and the running accuracy by type."""
        length = self._curriculum.length(step)
        streams = max(1, _CHUNKS_PER_STEP // length)
        questions = min(_QUESTIONS_PER_STEP, _QUESTIONS_TIMES_CHUNKS // length)
        questions = max(_FEWEST_QUESTIONS, questions) // streams
        lesson = self._teacher.deal(step, streams, length, questions)
        span = self._template.places.span
        rng = np.random.default_rng((self._seed, 2, step))
        spread = Spread.deal(rng, streams, length, span)
        with torch.autocast("cpu", torch.bfloat16):
            logits, first, glance = self.answer(lesson, spread)
            clock = self._judge_clock(first, lesson.stamps)
        loss = functional.cross_entropy(
            logits.float().flatten(0, -2), lesson.answers.flatten(), ignore_index=-100
        )
        looks, facts = self._judge_glance(glance, lesson)
        self._note("answers", loss.item())
        self._note("looks", looks.item())
        self._note("facts", facts.item())
        self._note("clock", clock.item())
        self._note_right(logits, lesson)
        figures = {"chunks": float(length), "loss": loss.item(), **self._shown}
        helped = _CLOCK_WEIGHT * clock + _LOOKS_WEIGHT * looks + _FACTS_WEIGHT * facts
        return loss + helped, figures

    def answer(self, lesson: Lesson, spread: Spread) -> tuple[Tensor, Tensor, Glance]:
        """Give logits (G, Q, A, words), the chunks' first states, and the glances."""
        ids = self._template.chunk_ids(lesson.stamps)  # (G, N, S)
        visual = self._template.layout.visual_tokens
        pairs = lesson.chunks[..., None] * PAIRS_PER_CHUNK
        pairs = pairs + torch.arange(PAIRS_PER_CHUNK)  # (G, N, pairs)
        seen = self._features[lesson.worlds[..., None], pairs].flatten(2, 3)
        chunks = self._model.embed_tokens(ids)
        chunks = chunks.index_copy(2, visual, seen.to(chunks.dtype))  # (G, N, S, C)
        places, sink = self._template.places, self._template.sink_ids
        pasts, first = watch(self._model, sink, chunks, places)
        hidden, glance = read(self._model, pasts, places, spread, lesson.asked)
        words = self._model.embed_tokens.weight
        return functional.linear(hidden, words), first, glance

    def _judge_glance(self, glance: Glance, lesson: Lesson) -> tuple[Tensor, Tensor]:
        pairs = lesson.chunks[..., None] * PAIRS_PER_CHUNK
        pairs = pairs + torch.arange(PAIRS_PER_CHUNK)
        labels = self._labels[lesson.worlds[..., None], pairs]  # (G, N, pairs, V, A)
        chunk = torch.arange(lesson.chunks.shape[1])[:, None]
        visual = chunk * len(self._template.layout.token_ids)
        visual = (visual + self._template.layout.visual_tokens).flatten()
        sink = torch.arange(len(self._template.sink_ids))
        kept = torch.cat((sink, len(sink) + visual))
        seen = Glance(glance.looks[..., kept], glance.finds)
        return self.glance(
            seen, lesson.keys, labels.flatten(1, 3), lesson.stamps.flatten(1)
        )

    def _judge_clock(self, first: Tensor, stamps: Tensor) -> Tensor:
        """Ask each visual token, after one layer, what time it is."""
        visual = self._template.layout.visual_tokens
        told = self.clock(first[:, :, visual]).float().flatten(0, 2)
        each = stamps.repeat_interleave(CELLS * CELLS, dim=2).flatten()
        wanted = (each // 3600 % 24, each // 60 % 60, each % 60)
        parts = zip(told.split(_CLOCK, dim=-1), wanted, strict=True)
        return sum((functional.cross_entropy(p, w) for p, w in parts), torch.zeros(()))

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
        before = self._shown.get(name, value)
        self._shown[name] = _FORGET * before + (1 - _FORGET) * value


class Template:
    """The tokens around frames, as the product lays them out."""

    def __init__(
        self,
        module: Qwen3VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        grid = (PAIRS_PER_CHUNK, CELLS, CELLS)
        times = [float(second) for second in range(PAIRS_PER_CHUNK)]
        self.layout: ChunkLayout = lay_out(times, grid, module.config, tokenizer)
        self.places = Places(self.layout.positions, self.layout.span)
        prompt = Prompt.of(tokenizer, frozenset())
        self.sink_ids = torch.tensor(tokenizer.encode(prompt.before))
        self._stamps = torch.tensor(
            [tokenizer.encode(time_stamp(float(second))) for second in range(24 * 3600)]
        )  # (seconds, 3)

    def chunk_ids(self, stamps: Tensor) -> Tensor:
        """Give token ids (G, N, S) for the second of the day of each pair."""
        ids = self.layout.token_ids.expand(*stamps.shape[:2], -1).clone()
        words = self._stamps[stamps % (24 * 3600)]  # (G, N, pairs, 3)
        step = ids.shape[2] // PAIRS_PER_CHUNK
        starts = step * torch.arange(PAIRS_PER_CHUNK)
        for offset in range(3):
            ids[:, :, starts + offset] = words[..., offset]
        return ids


def train_text(
    module: Qwen3VLForConditionalGeneration,
    stage: TextStage,
    folder: Path,
    schedule: Schedule,
) -> None:
    """Train the language model on what the stage deals."""
    model = module.model.language_model
    parts = nn.ModuleDict(
        {"model": model, "clock": stage.clock, "glance": stage.glance}
    )
    parts.requires_grad_(requires_grad=True)
    Loop("text", folder, parts, schedule, stage.loss).run()
