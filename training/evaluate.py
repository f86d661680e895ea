"""How often is the model right? Over the product's own path, with full KV.

Every chunk is rendered as the demo renders it, prefilled behind the sink, composed
uncompressed in time order, and every question decoded over that cache.
"""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.vlm.builtin import PATCHES
from agent.vlm.generation import Reader, decode, decode_room, text_of
from agent.vlm.loading import ModelSettings, load_model
from agent.vlm.model import VisionLanguageModel
from ingest.frame import FrameChunk
from ingest.simulation.questions import Question, QuestionType, ask
from ingest.simulation.renderer import render
from ingest.simulation.world import World
from memory.kv import KV
from memory.rehydration import compose
from training.split import Split, start_of

FRAMES, FPS, SIZE = 8, 2.0, 256
CHUNK_S = FRAMES / FPS
MAX_NEW_TOKENS = 8
_TRIES = 20


def film(seed: int, chunks: int) -> list[FrameChunk]:
    """Render a world's chunks as a camera of the demo gives them."""
    return list(film_world(World(seed), start_of(seed), chunks))


def film_world(world: World, start_s: float, chunks: int) -> Iterator[FrameChunk]:
    """Render chunks from a moment on, as a camera of the demo gives them."""
    for number in range(chunks):
        times_s = start_s + CHUNK_S * number + np.arange(FRAMES) / FPS
        pixels = np.stack([render(world, float(t), SIZE) for t in times_s])
        end_s = start_s + CHUNK_S * (number + 1)
        yield FrameChunk("camera", pixels, times_s, end_s)


def questions_on(seed: int, chunks: int, each: int) -> list[Question]:
    """Ask up to `each` different questions of each type about a world's chunks."""
    start_s = start_of(seed)
    window = (start_s, start_s + chunks * CHUNK_S)
    visits, dealer = World(seed).visits(*window), random.Random(seed)
    asked: dict[str, Question] = {}
    for type in QuestionType:
        found: dict[str, Question] = {}
        for _ in range(_TRIES * each):
            question = ask(visits, [window], type, dealer)
            if question is not None and len(found) < each:
                found[question.text] = question
        asked |= found
    return list(asked.values())


@torch.inference_mode()
def answers_on(
    model: VisionLanguageModel, chunks: list[FrameChunk], questions: list[Question]
) -> list[str]:
    """Answer questions over the full KV of a stream."""
    sink = model.prefill_sink()
    runs = [sink, *(model.prefill(chunk, [sink]).kv for chunk in chunks)]
    return [say(model, runs, question.text, MAX_NEW_TOKENS) for question in questions]


def say(
    model: VisionLanguageModel, runs: Sequence[KV], text: str, max_new_tokens: int
) -> str:
    """Answer one question over runs of KV, the sink first."""
    room = decode_room(model, text, max_new_tokens)
    cache = compose(runs, model.rotary, room=room)
    return text_of(model, list(decode(model, Reader(cache, text, max_new_tokens))))


def worlds_named(seeds: str) -> range:
    """Give the worlds of `first-last`, or of one number.

    Raises:
        typer.BadParameter: It is neither, or no worlds lie between them.
    """
    named = re.fullmatch(r"(\d+)(?:-(\d+))?", seeds)
    if named is None:
        raise typer.BadParameter(
            f"worlds are FIRST-LAST, from 0 up, not {seeds}", param_hint="--seeds"
        )
    first, last = int(named[1]), int(named[2] or named[1])
    if first > last:
        raise typer.BadParameter(f"{first} is after {last}", param_hint="--seeds")
    return range(first, last + 1)


def main(
    model: Annotated[str, typer.Option(help="a folder, or builtin")] = "builtin",
    seeds: Annotated[str, typer.Option(help="worlds: first-last")] = (
        f"{Split.TEST.world(0)}-{Split.TEST.world(39)}"
    ),
    chunks: Annotated[int, typer.Option(min=1, help="chunks of 4 s in a stream")] = 32,
    each: Annotated[int, typer.Option(min=1, help="questions of a type per world")] = 4,
    out: Annotated[Path | None, typer.Option("--json", help="write rows here")] = None,
) -> None:
    """Print how often the model is right, by type of question."""
    worlds = worlds_named(seeds)
    settings = ModelSettings(
        name=model, device="cpu", dtype="float32", max_pixels=PATCHES.max_pixels
    )
    loaded = load_model(settings)
    right: dict[str, list[bool]] = defaultdict(list)
    for seed in track(worlds, "worlds"):
        questions = questions_on(seed, chunks, each)
        answers = answers_on(loaded, film(seed, chunks), questions)
        for question, answer in zip(questions, answers, strict=True):
            right[question.type.value].append(question.is_right(answer))
    table = Table("type", "n", "right, %", title=f"{model}, {seeds}, {chunks} chunks")
    rows = []
    for name, told in right.items():
        rows.append({"type": name, "n": len(told), "accuracy": sum(told) / len(told)})
        table.add_row(name, str(len(told)), f"{100 * sum(told) / len(told):.1f}")
    Console().print(table)
    if out is not None:
        body = {"model": model, "seeds": seeds, "chunks": chunks, "rows": rows}
        out.write_text(json.dumps(body, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
