"""The checks that need no stream: prepared frames, special tokens."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.doctor.finding import Finding, Verdict, judged
from agent.doctor.footage import Footage
from agent.vlm.loading import ModelSettings
from agent.vlm.model import VisionLanguageModel
from agent.vlm.processor_frames import (
    load_image_processor,
    our_frames,
    processor_frames,
)
from agent.vlm.prompt import SYSTEM

FRAMES, TOKENS = "frames", "special tokens"
_TOLERANCE = 1e-5  # of prepared frames, which are about 1
_CONFIGURED = ("vision_start", "vision_end", "image", "video")


def check_frames(
    model: VisionLanguageModel, settings: ModelSettings, footage: Footage
) -> Finding:
    """Compare prepared frames with those of the model's own image processor.

    Frames of the footage: whole, and cut to be wide and to be tall.
    """
    try:
        processor = load_image_processor(settings)
    except (OSError, ValueError, ImportError) as exc:
        figure = f"not checked: no image processor: {exc}"
        return Finding(FRAMES, Verdict.NONE, figure)
    mistakes, largest = [], 0.0
    cuts = _cuts(footage)
    for frames in cuts:
        ours = our_frames(model, frames)
        theirs = processor_frames(processor, model, frames)
        height, width = frames.shape[1:3]
        if ours.shape != theirs.shape:
            shapes = f"{tuple(ours.shape)}, the processor's {tuple(theirs.shape)}"
            mistakes.append(f"a frame of {width}x{height} becomes {shapes}")
            continue
        difference = (ours - theirs).abs().max().item()
        largest = max(largest, difference)
        if not difference <= _TOLERANCE:
            mistakes.append(f"a frame of {width}x{height} differs by {difference:.2g}")
    of = type(processor).__name__
    figure = f"those of {of} to {largest:.1g} in {len(cuts)} sizes"
    return judged(FRAMES, mistakes, figure, largest=largest, processor=of)


def _cuts(footage: Footage) -> list[NDArray[np.uint8]]:
    whole = footage.chunks[0].pixels[:2]  # (2, height, width, 3)
    height, width = whole.shape[1:3]
    wide, tall = whole[:, : height * 9 // 16], whole[:, :, : width * 9 // 16]
    return [whole, wide, tall]


def check_tokens(model: VisionLanguageModel) -> Finding:
    """Look up what a chunk and a question are written with."""
    tokens = _configured(model) | dict.fromkeys(model.family.markers)
    mistakes = [
        mistake
        for text, id in tokens.items()
        if (mistake := _misread(model, text, id)) is not None
    ]
    mistakes += _template_mistakes(model)
    stops = sorted(model.prompt.stop_ids)
    names = [str(model.tokenizer.convert_ids_to_tokens(id)) for id in stops]
    figure = (
        f"{len(tokens)} around what was seen, each one token; the chat template"
        f" opens and closes; answers end at {' '.join(names)}"
    )
    return judged(TOKENS, mistakes, figure, tokens=list(tokens), stop_ids=stops)


def _configured(model: VisionLanguageModel) -> dict[str, int | None]:
    """Give the special tokens that the configuration names by their ids."""
    config: Any = model.module.config
    ids = [getattr(config, f"{name}_token_id", None) for name in _CONFIGURED]
    return {
        str(model.tokenizer.convert_ids_to_tokens(id)): id
        for id in ids
        if id is not None
    }


def _misread(model: VisionLanguageModel, text: str, id: int | None) -> str | None:
    """Say how a special token is not read as itself, None if it is.

    Args:
        model: The model.
        text: What the token is written as.
        id: Its id; None: any, if only it is one.
    """
    read = model.tokenize(text).tolist()
    wanted = read[:1] if id is None else [id]
    if read != wanted or wanted[0] not in model.tokenizer.get_added_vocab().values():
        return f"{text} is read as {read}, not as one special token"
    if model.tokenizer.decode(wanted) != text:
        return f"{text} is written as {model.tokenizer.decode(wanted)}"
    rows = model.module.get_input_embeddings().weight.shape[0]
    return f"{text} has no embedding" if wanted[0] >= rows else None


def _template_mistakes(model: VisionLanguageModel) -> list[str]:
    """Say what the chat template lacks around what the camera saw."""
    prompt, special = model.prompt, model.tokenizer.get_added_vocab()
    mistakes = []
    if not _has(SYSTEM, prompt.before):
        mistakes.append("the chat template leaves out the system prompt")
    opening = [token for token in special if token in prompt.before]
    closing = [token for token in special if token in prompt.after]
    if not opening:
        mistakes.append("the chat template opens no turn before what was seen")
    if not closing:
        mistakes.append("the chat template closes no turn behind the question")
    elif not prompt.stop_ids & {special[token] for token in closing}:
        mistakes.append(f"no answer ends: {' '.join(closing)} is no stop token")
    size = len(model.tokenizer)
    mistakes += [f"no token {id} to stop at" for id in prompt.stop_ids if id >= size]
    return mistakes


def _has(text: str, template: str) -> bool:
    return " ".join(text.split()) in " ".join(template.split())
