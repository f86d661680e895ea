"""Streamed, stored and re-hydrated: does a model say what one plain call says?

Chunk after chunk, each seeing all before it, goes through a blob and into one composed
cache; a question is decoded over it, greedily. The stock class gets the same tokens at
once and keeps nothing. Differences of logits are told in standard deviations of the
stock ones over the vocabulary, the largest of all steps.

In bfloat16 the two ways round differently, and that is not small: 0.03 for the built-in
model, up to 0.05 for tiny ones of each family, 0.1 for those with 28 layers, 0.2 for a
pretrained language model of 30 layers, to which leaving out a chunk made no more than
0.8. So bfloat16 is allowed 0.3 and judged only where a chunk makes 3. Elsewhere, on a
GPU, weights are held in float32 for as long as the check takes. Float32 was found to
differ by 0.00002 at most and is allowed 0.001.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from agent.doctor.finding import Finding, Verdict
from agent.doctor.footage import Footage
from agent.vlm.generation import question_ids
from agent.vlm.model import VisionLanguageModel
from agent.vlm.stock import stock_logits
from ingest.frame import FrameChunk
from memory.codec import Compression, decode_low, encode_low
from memory.kv import KV, ChunkId
from memory.rehydration import compose

NAME = "streamed = plain"
STEPS = 16
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.3}
_SEES = 10  # times the tolerance: what leaving out a chunk has to change


@dataclass(frozen=True, slots=True)
class Conformance:
    """How far a stream is from one plain call.

    Attributes:
        difference: Largest of the logits, in standard deviations.
        left_out: The same at the question's end if a chunk is left out; of the chunk
            whose absence changes most.
        same_tokens: Greedy tokens before the first that differs.
        gap: Where one differs: by how much the plain call prefers its own, in
            standard deviations; else 0.
        tolerance: Most that `difference` may be.
    """

    difference: float
    left_out: float
    same_tokens: int
    gap: float
    tolerance: float

    @property
    def verdict(self) -> Verdict:
        """Judge it; nothing is to be judged where even a missing chunk hardly shows.

        A token may differ where the plain call has two as good as equal: either's
        logit may be off by the tolerance.
        """
        if not isfinite(self.difference + self.left_out):
            return Verdict.FAILED
        if self.left_out < _SEES * self.tolerance:
            return Verdict.NONE
        is_near = self.difference <= self.tolerance and self.gap <= 2 * self.tolerance
        return Verdict.PASSED if is_near else Verdict.FAILED

    def __str__(self) -> str:
        same = f"{self.same_tokens} of {STEPS} greedy tokens the same"
        if self.same_tokens < STEPS:
            same += f", then two that are {self.gap:.1g} sd apart"
        return (
            f"logits differ by {self.difference:.1g} sd (allowed {self.tolerance:g};"
            f" without a chunk {self.left_out:.2g}); {same}"
        )


def check_conformance(model: VisionLanguageModel, footage: Footage) -> Finding:
    """Compare a stream with one plain call, in float32 if nothing else can tell."""
    found = compare(model, footage)
    figure, judged_in = str(found), model.module.dtype
    is_full = getattr(model.module, "hf_quantizer", None) is None
    if found.verdict is Verdict.NONE and is_full and model.device.type == "cuda":
        wide = compare_in_float32(model, footage)
        if wide is not None:
            found, judged_in = wide, torch.float32
            figure = f"in float32: {wide}\nin {_name(model.module.dtype)}: {figure}"
    if found.verdict is Verdict.NONE:
        figure = f"can't tell: a chunk that is left out hardly shows\n{figure}"
        if judged_in is torch.bfloat16:
            figure += "\ntry --dtype float32"
    data = asdict(found) | {"steps": STEPS, "judged_in": _name(judged_in)}
    return Finding(NAME, found.verdict, figure, data)


def compare_in_float32(
    model: VisionLanguageModel, footage: Footage
) -> Conformance | None:
    """Compare with weights held in float32; None where they don't fit so."""
    try:
        with in_float32(model.module):
            return compare(model, footage)
    except torch.OutOfMemoryError:
        return None


@contextmanager
def in_float32(module: Any) -> Iterator[None]:
    """Hold a module's bfloat16 weights in float32 meanwhile: exactly the same ones."""
    tensors = chain(module.parameters(), module.buffers())
    narrow = [tensor for tensor in tensors if tensor.dtype is torch.bfloat16]
    try:
        for tensor in narrow:
            tensor.data = tensor.data.float()
        yield
    finally:
        for tensor in narrow:
            tensor.data = tensor.data.bfloat16()


def stream(model: VisionLanguageModel, chunks: Sequence[FrameChunk]) -> list[KV]:
    """Prefill chunk after chunk, uncompressed, and read each back from its blob.

    Returns:
        The sink, then the chunks, on the model's device.
    """
    runs = [model.prefill_sink()]
    for chunk in chunks:
        times_ms = (round(chunk.start_s * 1000), round(chunk.end_s * 1000))
        id, whole = ChunkId(chunk.camera, *times_ms), model.prefill(chunk, runs)
        blob = encode_low(id, whole.kv, Compression("novelty", 1), model.fingerprint)
        runs.append(decode_low(blob, id, model.fingerprint).to(model.device))
    return runs


def compare(model: VisionLanguageModel, footage: Footage) -> Conformance:
    """Give how far a stream is from one plain call."""
    runs = stream(model, footage.chunks)
    asked = question_ids(model, footage.questions[0].text)
    ours, tokens = read(model, runs, asked, STEPS)
    text = torch.cat((asked, tokens[:-1]))
    stock = stock_logits(model, footage.chunks, text, STEPS)  # (steps, vocabulary)
    scale = stock.std(dim=1)  # (steps,)
    missing = []
    for left_out in range(1, len(runs)):
        fewer = [*runs[:left_out], *runs[left_out + 1 :]]
        other, _ = read(model, fewer, asked, 1)
        missing.append(((other[0] - stock[0]).abs().max() / scale[0]).item())
    theirs = stock.argmax(dim=1).cpu()  # (steps,)
    wrong = (theirs != tokens).nonzero()[:, 0].tolist()
    same = wrong[0] if wrong else STEPS
    gap = 0.0
    if wrong:
        apart = stock[same, theirs[same]] - stock[same, tokens[same]]
        gap = (apart / scale[same]).item()
    return Conformance(
        ((ours - stock).abs().amax(dim=1) / scale).max().item(),
        max(missing),
        same,
        gap,
        TOLERANCES[model.module.dtype],
    )


def read(
    model: VisionLanguageModel, runs: Sequence[KV], asked: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Decode so many tokens over composed runs, past any stop token.

    Args:
        model: The model.
        runs: The sink and the chunks.
        asked: Ids of a question with the template around it, (T,).
        steps: How many tokens.

    Returns:
        Logits, (steps, vocabulary), float32, and the likeliest of each, (steps,),
        int64, on the CPU.
    """
    cache = compose(runs, model.rotary, room=len(asked) + steps)
    logits, tokens, text = [], [], asked
    for _ in range(steps):
        logits.append(model.extend(cache, text))
        text = logits[-1].argmax()[None].cpu()
        tokens.append(text)
    return torch.stack(logits), torch.cat(tokens)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
