"""Is the chunk that holds the answer found? Ways to score chunks, side by side.

Run `python -m benchmarks.relevance --split validation --seeds 0-9 --chunks 32 128
--json FILE`. Questions are those that are about one visit; ties count against a method.
Keys are of the same prefilled chunks for all; those of the index are chosen by novelty,
as the product does. Below 16 bits a key is stored with a 16-bit offset and step.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from agent.calibration.run import every_head
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from benchmarks.environment import describe
from benchmarks.options import Parser, at_least, numbers, result_file, worlds_of
from ingest.simulation.questions import Question, QuestionType
from memory.calibration import ranks, recall_at, score_each_head
from memory.compression.index import take_index_keys
from memory.kv import ChunkId, ChunkKV
from memory.relevance import ChunkKeys, score_chunks
from training.evaluate import film, questions_on

PROG = "python -m benchmarks.relevance"
MOST_KEYS = 64
KEYS, BITS = (64, 16, 8, 4, 1), (16, 8, 4, 2)
BY_PLATE = (
    QuestionType.COLOUR,
    QuestionType.KIND,
    QuestionType.SIDE,
    QuestionType.LEFT_TO,
    QuestionType.WHEN,
    QuestionType.SEEN,
)
ASKED = (*BY_PLATE, QuestionType.PLATE)


@dataclass(frozen=True, slots=True, order=True)
class Method:
    """A way to score chunks.

    Attributes:
        name: `mean_key`, `every_head`, `one_layer` or `calibrated`.
        keys: Keys per chunk and head; 0 for a mean.
        bits: Of each number of a key.
    """

    name: str
    keys: int = MOST_KEYS
    bits: int = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """One question to one stream.

    Attributes:
        world: The stream.
        type: Of the question.
        ranks: Of the right chunk, by method.
        layer_ranks: The same with all heads of one layer, layer by layer.
    """

    world: int
    type: QuestionType
    ranks: dict[Method, int]
    layer_ranks: tuple[int, ...]


class Stream:
    """One world's prefilled chunks, and their keys in the ways that are compared."""

    def __init__(self, model: VisionLanguageModel, world: int, chunks: int) -> None:
        self.model = model
        self.every = model.with_heads(every_head(model))
        self.sink = model.prefill_sink()
        self.wholes: list[ChunkKV] = []
        self.ids: list[ChunkId] = []
        for frames in film(world, chunks):
            times = (round(frames.start_s * 1000), round(frames.end_s * 1000))
            self.ids.append(ChunkId("bench", *times))
            self.wholes.append(model.prefill(frames, [self.sink]))
        self.means = torch.stack([frame_means(w) for w in self.wholes])
        self.all_keys = self._keys(self.every, MOST_KEYS, 16)
        self.index = {
            Method("calibrated", keys, bits): self._keys(model, keys, bits)
            for keys in KEYS
            for bits in BITS
        }

    def _keys(
        self, model: VisionLanguageModel, num_keys: int, bits: int
    ) -> list[ChunkKeys]:
        return [
            ChunkKeys(id, store(take_index_keys(whole, model.heads, num_keys), bits))
            for id, whole in zip(self.ids, self.wholes, strict=True)
        ]

    def ask(self, world: int, question: Question) -> Trial:
        """Rank the right chunk in every way."""
        start, end = (round(t * 1000) for t in question.holds)
        right = torch.tensor([i.start_ms < end and i.end_ms > start for i in self.ids])
        queries = self.every.question_queries(question.text, self.sink)
        each = score_each_head(queries, self.all_keys, self.every.heads)  # (Q', C)
        layers = each.unflatten(0, (-1, len(each) // self._num_layers))  # (L, Q, C)
        found = {
            Method("mean_key", 0): ranks(self._mean_scores(queries), right),
            Method("every_head"): ranks(each.sum(dim=0), right),
        }
        queries = self.model.question_queries(question.text, self.sink)
        for method, keys in self.index.items():
            scores = score_chunks(queries, keys, self.model.heads)
            found[method] = ranks(scores, right)
        of_layers = ranks(layers.sum(dim=1), right)
        return Trial(
            world,
            question.type,
            {method: int(rank) for method, rank in found.items()},
            tuple(of_layers.tolist()),
        )

    @property
    def _num_layers(self) -> int:
        return int(self.every.heads.query_heads[-1, 0]) + 1

    def _mean_scores(self, queries: Tensor) -> Tensor:
        """Score chunks as ReKV scores frames; a chunk is as good as its best frame."""
        keys = self.means[:, self.every.heads.reads]  # (C, Q', F, D)
        means = queries.float().mean(dim=1)  # (Q', D)
        by_frame: Tensor = torch.einsum("hd,chfd->cf", means, keys)
        best: Tensor = by_frame.amax(dim=1)  # (C,)
        return best


def frame_means(whole: ChunkKV) -> Tensor:
    """Give the mean visual key of each frame in each head, (L * H, F, D)."""
    visual = whole.kv.keys[:, :, whole.visual_tokens].float()  # (L, H, V, D)
    by_frame = visual.unflatten(2, (whole.grid[0], -1))
    means: Tensor = by_frame.mean(dim=3).flatten(0, 1)
    return means


def store(keys: Tensor, bits: int) -> Tensor:
    """Give keys as they come back from so many bits a number, (..., D)."""
    if bits == 16:
        return keys.bfloat16().float()
    low: Tensor = keys.float().amin(dim=-1, keepdim=True)
    step = (keys.float().amax(dim=-1, keepdim=True) - low) / (2**bits - 1)
    low, step = low.half().float(), step.half().float()
    codes = ((keys.float() - low) / step.clamp(min=1e-8)).round()
    return codes.clamp(0, 2**bits - 1) * step + low


def bytes_per_chunk(method: Method, stream: Stream) -> int:
    """Give what a method keeps of a chunk for scoring."""
    layers, kv_heads, _, head_dim = stream.wholes[0].kv.keys.shape
    heads = {
        "calibrated": len(stream.model.heads.kv_heads),
        "one_layer": kv_heads,
    }.get(method.name, layers * kv_heads)
    keys = min(method.keys, len(stream.wholes[0].visual_tokens))
    if method.name == "mean_key":
        keys = stream.wholes[0].grid[0]
    per_key = head_dim * method.bits // 8 + (4 if method.bits < 16 else 0)
    return heads * keys * per_key


def with_best_layer(trials: Sequence[Trial]) -> Iterator[Trial]:
    """Add, for each world, the layer that is best on the other worlds."""
    inverse = torch.tensor([t.layer_ranks for t in trials]).double().reciprocal()
    worlds = torch.tensor([trial.world for trial in trials])
    for trial in trials:
        others = inverse[worlds != trial.world]
        layer = int(others.mean(dim=0).argmax())
        best = {Method("one_layer"): trial.layer_ranks[layer]}
        yield Trial(trial.world, trial.type, trial.ranks | best, trial.layer_ranks)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask about every world in every length.

    Raises:
        SameWorldError: Two seeds name the same world.
        ModelLoadError: The model can't be loaded.
    """
    worlds = worlds_of(arguments.split, arguments.seeds)
    model = load_model(ModelSettings(name=arguments.model))
    rows: list[dict[str, Any]] = []
    for chunks in arguments.chunks:
        trials: list[Trial] = []
        for world in track(worlds, f"{chunks} chunks"):
            stream = Stream(model, world, chunks)
            trials += [
                stream.ask(world, question)
                for question in questions_on(world, chunks, arguments.each)
                if question.type in ASKED and question.happened is not None
            ]
        rows += summarise(list(with_best_layer(trials)), stream, chunks)
    return {
        "command": PROG,
        "split": arguments.split,
        "seeds": arguments.seeds,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "heads": model.heads.query_heads.tolist(),
        **describe(),
        "rows": rows,
    }


def summarise(
    trials: Sequence[Trial], stream: Stream, chunks: int
) -> list[dict[str, Any]]:
    """Give a row per method and type of question, `by_plate` and `all` together."""
    cells: dict[tuple[Method, str], list[int]] = defaultdict(list)
    for trial in trials:
        types = [str(trial.type), "all"]
        types += ["by_plate"] if trial.type in BY_PLATE else []
        for method, rank in trial.ranks.items():
            for type in types:
                cells[method, type].append(rank)
    return [
        {
            "method": method.name,
            "keys": method.keys,
            "bits": method.bits,
            "chunks": chunks,
            "type": type,
            "n": len(found),
            **recall_at(torch.tensor(found), (1, 4)),
            "index_bytes_per_chunk": bytes_per_chunk(method, stream),
        }
        for (method, type), found in sorted(cells.items())
    ]


def show(result: dict[str, Any]) -> None:
    """Print a table per length: a row per method."""
    for chunks in sorted({row["chunks"] for row in result["rows"]}):
        rows = [row for row in result["rows"] if row["chunks"] == chunks]
        cells = {(r["method"], r["keys"], r["bits"], r["type"]): r for r in rows}
        title = f"recall at 1 / at 4, %, of {chunks} chunks; heads {result['heads']}"
        names = ("by_plate", "plate", "all")
        table = Table("method", "keys", "bits", "bytes", *names, title=title)
        for method in sorted({key[:3] for key in cells}):
            shown = [cells.get((*method, name)) for name in names]
            table.add_row(
                *map(str, method),
                str(cells[*method, "all"]["index_bytes_per_chunk"]),
                *(_percent(row) for row in shown),
            )
        Console(width=110).print(table)


def _percent(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{100 * row['recall_at_1']:.0f} / {100 * row['recall_at_4']:.0f}"


def main() -> None:
    """Read the command line, measure, show, write."""
    parser = Parser(prog=PROG, description=__doc__)
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    parser.add_argument("--seeds", type=numbers, default=numbers("0-9"))
    parser.add_argument("--chunks", type=at_least(1), nargs="+", default=[32, 128])
    parser.add_argument(
        "--each", type=at_least(1), default=8, help="questions of a type"
    )
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--json", type=result_file, help="where to write the rows")
    arguments = parser.parse_args()
    if len(arguments.seeds) < 2:
        parser.error("a layer is chosen on other worlds: name two seeds or more")
    with parser.tells():
        result = measure(arguments)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
