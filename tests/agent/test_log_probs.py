"""How sure the model was, against the stock `generate` and each answer alone."""

import asyncio
import math
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from tiny_model import make_chunks, make_model, stock_inputs

from agent.decode_queue import Decoded, DecodeQueue, Job
from agent.progress import Progress
from agent.stopwatch import Stopwatch
from agent.vlm.generation import Reader, decode, decode_room
from agent.vlm.log_probs import LogProbs
from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import GREEDY, Sampling
from agent.worker import ModelThread, Priority
from ingest.frame import FrameChunk
from memory.kv import KV
from memory.rehydration import compose

QUESTION, NEW_TOKENS = "where did #47 come from ?", 6
HOT = Sampling(1.5, 0.9, 2)


@pytest.fixture(scope="module")
def chunks() -> list[FrameChunk]:
    return make_chunks((8,))


def runs_of(model: VisionLanguageModel, chunks: Sequence[FrameChunk]) -> list[KV]:
    sink = model.prefill_sink()
    return [sink, *(model.prefill(chunk, [sink]).kv for chunk in chunks)]


def say(
    model: VisionLanguageModel,
    runs: Sequence[KV],
    sampling: Sampling,
    question: str = QUESTION,
) -> tuple[list[int], tuple[float, ...]]:
    room, noted = decode_room(model, question, NEW_TOKENS), LogProbs()
    cache = compose(runs, model.rotary, room=room)
    reader = Reader(cache, question, NEW_TOKENS, sampling=sampling, note=noted.note)
    return list(decode(model, reader)), noted.values


@pytest.mark.parametrize("sampling", [GREEDY, HOT])
def test_log_probs_are_those_of_stock_logits_whatever_the_temperature(
    model: VisionLanguageModel, chunks: list[FrameChunk], sampling: Sampling
) -> None:
    inputs = stock_inputs(model, chunks, QUESTION)
    ids, log_probs = say(model, runs_of(model, chunks), sampling)
    torch.manual_seed(sampling.seed or 0)
    drawn = {"do_sample": True, "temperature": 1.5, "top_p": 0.9, "top_k": 0}
    out = model.module.generate(
        **inputs,
        max_new_tokens=NEW_TOKENS,
        output_logits=True,
        return_dict_in_generate=True,
        **(drawn if sampling is HOT else {"do_sample": False}),
    )
    model.module.model.rope_deltas = None
    said = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    raw = torch.cat(out.logits).float().log_softmax(dim=-1)  # (tokens, vocabulary)
    expected = [float(row[token]) for row, token in zip(raw, said, strict=True)]
    assert ids == [token for token in said if token not in model.prompt.stop_ids]
    assert log_probs == pytest.approx(expected, abs=1e-4)
    assert any(value < math.log(0.5) for value in log_probs), "it must be unsure"


def test_the_stop_token_counts_as_said(chunks: list[FrameChunk]) -> None:
    model = make_model(seed=3)
    runs = runs_of(model, chunks)
    whole, before = say(model, runs, GREEDY)
    prompt = replace(model.prompt, stop_ids=frozenset([whole[2]]))
    ids, log_probs = say(replace(model, prompt=prompt), runs, GREEDY)
    end = whole.index(whole[2])
    assert ids == whole[:end]
    assert log_probs == pytest.approx(before[: end + 1], abs=1e-5)


def test_nothing_noted_is_nothing() -> None:
    assert LogProbs().values == ()


def test_a_certain_token_is_not_above_certain() -> None:
    noted = LogProbs()
    noted.note(1, torch.tensor([-50.0, 50.0, -40.0]))
    noted.note(0, torch.tensor([0.0, 0.0]))
    assert noted.values[0] == 0.0
    assert noted.values[1] == pytest.approx(math.log(0.5))


async def test_answers_decoded_together_are_each_as_sure_as_alone(
    model: VisionLanguageModel, chunks: list[FrameChunk]
) -> None:
    sink, *runs = runs_of(model, chunks)
    questions, gate = (QUESTION, "when ?"), threading.Event()
    async with asyncio.timeout(30), ModelThread() as thread:
        queue = DecodeQueue(thread, model, sink, NEW_TOKENS)
        held = thread.submit(Priority.CHUNK, gate.wait)
        jobs = [Job(text, runs, Stopwatch(), Progress()) for text in questions]
        futures = [queue.submit(job) for job in jobs]
        gate.set()
        await held
        done = await asyncio.gather(*futures)
    for question, decoded in zip(questions, done, strict=True):
        ids, log_probs = say(model, [sink, *runs], GREEDY, question)
        assert decoded == Decoded(
            decoded.text, len(ids), pytest.approx(log_probs, abs=1e-4)
        )
        assert len(log_probs) >= len(ids) > 0
