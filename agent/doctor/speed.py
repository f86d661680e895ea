"""How fast a model is on this machine."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from agent.doctor.finding import Finding, Verdict
from agent.doctor.footage import Footage
from agent.vlm.generation import question_ids
from agent.vlm.model import VisionLanguageModel
from memory.kv import KV
from memory.rehydration import compose

NAME = "speed"
_STEPS = 32


@dataclass(frozen=True, slots=True)
class Speed:
    """Figures of one camera, alone.

    Attributes:
        prefill_fps: Frames prefilled per second.
        chunk_ms: Time of a chunk.
        chunk_frames: Frames in it.
        decode_tokens_per_s: Of an answer over the whole footage, uncompressed.
        peak_bytes: Most memory of the device that was in use at once, weights
            included; None on a CPU.
    """

    prefill_fps: float
    chunk_ms: float
    chunk_frames: int
    decode_tokens_per_s: float
    peak_bytes: int | None


def measure_speed(model: VisionLanguageModel, footage: Footage) -> Speed:
    """Time prefill and decode after a first run of each that does not count.

    A chunk is prefilled against the sink and the chunk before it, as by default.
    """
    is_cuda = model.device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(model.device)
    runs = [model.prefill_sink()]
    passed_s = []
    for chunk in [footage.chunks[0], *footage.chunks]:
        began_s = _now_s(model)
        runs.append(model.prefill(chunk, [runs[0], *runs[1:][-1:]]).kv)
        passed_s.append(_now_s(model) - began_s)
    chunk_s = sum(passed_s[1:]) / len(footage.chunks)
    frames = len(footage.chunks[0].pixels)
    tokens_per_s = _decode_tokens_per_s(model, [runs[0], *runs[2:]], footage)
    peak = torch.cuda.max_memory_allocated(model.device) if is_cuda else None
    return Speed(frames / chunk_s, 1000 * chunk_s, frames, tokens_per_s, peak)


def check_speed(model: VisionLanguageModel, footage: Footage) -> Finding:
    """Tell how fast it is; nothing is asked of that."""
    found = measure_speed(model, footage)
    figure = (
        f"prefill {found.prefill_fps:.3g} frames/s ({found.chunk_ms:.3g} ms for a"
        f" chunk of {found.chunk_frames}), decode"
        f" {found.decode_tokens_per_s:.3g} tokens/s"
    )
    if found.peak_bytes is not None:
        figure += f", peak {found.peak_bytes / 1e9:.3g} GB on the device"
    return Finding(NAME, Verdict.NONE, figure, asdict(found))


def _decode_tokens_per_s(
    model: VisionLanguageModel, runs: Sequence[KV], footage: Footage
) -> float:
    asked = question_ids(model, footage.questions[0].text)
    cache = compose(runs, model.rotary, room=len(asked) + 1 + _STEPS)
    text, began_s = asked, 0.0
    for step in range(2 + _STEPS):
        if step == 2:  # the question and one token have been run
            began_s = _now_s(model)
        text = model.extend(cache, text).argmax()[None].cpu()
    return _STEPS / (_now_s(model) - began_s)


def _now_s(model: VisionLanguageModel) -> float:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.monotonic()
