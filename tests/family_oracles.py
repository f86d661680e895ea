"""What the library itself makes of the same frames and question, family by family.

Text by its processors' own functions (their constructors want torchvision, these
functions don't), pixels by its PIL image processors, all in one call of the stock
class. The one thing of ours in it is the time of day where the library would count
seconds or frames.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_families import FACTS
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
    GotOcr2ImageProcessorPil,
)
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.llava_onevision.processing_llava_onevision import (
    LlavaOnevisionProcessor,
)
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
)
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.image_processing_pil_smolvlm import (
    SmolVLMImageProcessorPil,
)
from transformers.video_utils import VideoMetadata

Inputs = dict[str, Any]


def stock_inputs(
    model_type: str,
    tokenizer: Any,
    chunks: Sequence[Any],
    system: str,
    questions: Sequence[str],
) -> Inputs:
    """The whole stream and the question as one call of the stock class takes them.

    Of several questions each one but the last is answered by the next of the list.
    """
    texts, inputs = _ORACLES[model_type](chunks)
    question, *later = questions
    asked: Any = [{"type": "video"}, {"type": "text", "text": question}]
    told: Any = [{"type": "text", "text": system}]
    marker, after, template = "<video>\n", "\n", None
    if model_type.startswith("qwen"):
        asked, told, marker, after = f"@@{question}", system, "@@", ""
    elif model_type == "internvl":
        after = ""  # the last of its lines ends in the template's own line end
    elif model_type == "smolvlm":
        marker, after = "<video>", processing_smolvlm.DEFAULT_MEDIA_OUTTRO
        template = processing_smolvlm.DEFAULT_CHAT_TEMPLATE
    messages = [
        {"role": "system", "content": told},
        {"role": "user", "content": asked},
    ]
    for number, said in enumerate(later):
        role = "user" if number % 2 else "assistant"
        is_plain = model_type.startswith("qwen")
        content: Any = said if is_plain else [{"type": "text", "text": said}]
        messages.append({"role": role, "content": content})
    text = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, add_generation_prompt=True
    )
    assert marker in text
    whole = text.replace(marker, "".join(texts) + after)
    ids = torch.tensor([tokenizer.encode(whole, add_special_tokens=False)])
    inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model_type.startswith("qwen"):
        video = tokenizer.convert_tokens_to_ids("<|video_pad|>")
        inputs["mm_token_type_ids"] = 2 * (ids == video).int()
    return inputs


def library_pixels(model_type: str, frames: Sequence[np.ndarray]) -> torch.Tensor:
    """Frames as the family's PIL image processor prepares them, one picture each."""
    facts, pictures = FACTS[model_type], [Image.fromarray(frame) for frame in frames]
    if model_type.startswith("qwen"):
        out = Qwen2VLImageProcessorPil(**facts)(pictures, return_tensors="pt")
        return out["pixel_values"]
    if model_type == "llava_onevision":  # the first of its tiles is the whole frame
        tiles = LlavaOnevisionImageProcessorPil(
            **facts, image_grid_pinpoints=[[28, 28]]
        )
        parts = [tiles(picture, return_tensors="pt") for picture in pictures]
        return torch.stack([part["pixel_values"][0, 0] for part in parts])
    if model_type == "smolvlm":
        facts = facts | {"size": facts["video_sampling"]["video_size"]}
        whole = SmolVLMImageProcessorPil(**facts, do_image_splitting=False)
        return whole([pictures], return_tensors="pt")["pixel_values"][0]
    whole = GotOcr2ImageProcessorPil(**facts, crop_to_patches=False)
    return whole(pictures, return_tensors="pt")["pixel_values"]


def clock(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M:%S")


def _qwen_pixels(model_type: str, chunks: Sequence[Any]) -> tuple[list[Any], Inputs]:
    """Frames of a chunk come in equal pairs, as its image processor makes of each."""
    settings = FACTS[model_type]
    grids, pixels = [], []
    for chunk in chunks:
        frames = chunk.pixels[::2]
        assert (chunk.pixels[1::2] == frames[: len(chunk.pixels[1::2])]).all()
        out = Qwen2VLImageProcessorPil(**settings)(
            [Image.fromarray(frame) for frame in frames], return_tensors="pt"
        )
        (grid,) = {tuple(grid.tolist()[1:]) for grid in out["image_grid_thw"]}
        grids.append((len(frames), *grid))
        pixels.append(out["pixel_values"])
    thw = torch.tensor(grids)
    return list(thw), {
        "pixel_values_videos": torch.cat(pixels),
        "video_grid_thw": thw,
    }


def _qwen2_5_vl(chunks: Sequence[Any]) -> tuple[list[str], Inputs]:
    grids, inputs = _qwen_pixels("qwen2_5_vl", chunks)
    writer = SimpleNamespace(
        video_token="<|video_pad|>", video_processor=SimpleNamespace(merge_size=2)
    )
    texts = []
    for chunk, grid in zip(chunks, grids, strict=True):
        seen = {"video_grid_thw": [grid]}
        pads = Qwen2_5_VLProcessor.replace_video_token(writer, seen, 0)
        texts.append(f"<{clock(chunk.times_s[0])}><|vision_start|>{pads}<|vision_end|>")
    seconds = [2 * float(chunk.times_s[1] - chunk.times_s[0]) for chunk in chunks]
    return texts, inputs | {"second_per_grid_ts": torch.tensor(seconds)}


def _qwen3_vl(chunks: Sequence[Any]) -> tuple[list[str], Inputs]:
    grids, inputs = _qwen_pixels("qwen3_vl", chunks)
    writer = SimpleNamespace(
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
        video_processor=SimpleNamespace(merge_size=2, temporal_patch_size=2),
        _calculate_timestamps=lambda *args: [0.0] * 64,
    )
    texts = []
    for chunk, grid in zip(chunks, grids, strict=True):
        metadata = VideoMetadata(len(chunk.times_s), 2.0, frames_indices=[])
        seen = {"video_grid_thw": [grid], "video_metadata": [metadata]}
        text = Qwen3VLProcessor.replace_video_token(writer, seen, 0)
        pairs = [chunk.times_s[i : i + 2] for i in range(0, len(chunk.times_s), 2)]
        times = [clock(float(np.mean(pair))) for pair in pairs]
        texts.append(_with_times(text, r"<0\.0 seconds>", "<{}>", times))
    return texts, inputs


def _llava_onevision(chunks: Sequence[Any]) -> tuple[list[str], Inputs]:
    pixels = torch.stack([library_pixels("llava_onevision", c.pixels) for c in chunks])
    writer = SimpleNamespace(video_token="<video>", num_image_tokens=49)
    texts = [
        f"<{clock(chunk.times_s[0])}>"
        + LlavaOnevisionProcessor.replace_video_token(
            writer, {"pixel_values_videos": [video]}, 0
        )
        for chunk, video in zip(chunks, pixels, strict=True)
    ]
    return texts, {"pixel_values_videos": pixels}


def _smolvlm(chunks: Sequence[Any]) -> tuple[list[str], Inputs]:
    frame = processing_smolvlm.get_image_prompt_string(
        *(0, 0, 16, "<fake_token_around_image>", "<image>", "<global-img>")
    )
    texts = [
        "".join(
            processing_smolvlm.FRAME_TIMESTAMP_MESSAGE.format(timestamp=clock(time_s))
            + frame
            for time_s in chunk.times_s
        )
        for chunk in chunks
    ]
    pixels = torch.cat([library_pixels("smolvlm", c.pixels) for c in chunks])
    return texts, {"pixel_values": pixels[None]}


def _internvl(chunks: Sequence[Any]) -> tuple[list[str], Inputs]:
    writer = SimpleNamespace(
        start_image_token="<img>",
        end_image_token="</img>",
        image_token="<IMG_CONTEXT>",
        image_seq_length=16,
    )
    pixels = torch.cat([library_pixels("internvl", c.pixels) for c in chunks])
    text = InternVLProcessor.replace_video_token(
        writer, {"pixel_values_videos": [pixels]}, 0
    )
    times = [clock(t) for chunk in chunks for t in chunk.times_s]
    stamped = _with_times(text, r"Frame\d+:", "Frame {}:", times)
    return [stamped + "\n"], {"pixel_values": pixels}


def _with_times(text: str, stamp: str, ours: str, times: list[str]) -> str:
    """Put our times where the library counted seconds or frames."""
    parts = re.split(stamp, text)
    assert len(parts) == len(times) + 1
    stamped = [ours.format(t) + part for t, part in zip(times, parts[1:], strict=True)]
    return parts[0] + "".join(stamped)


_ORACLES: Mapping[str, Callable[[Sequence[Any]], tuple[list[str], Inputs]]] = {
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "llava_onevision": _llava_onevision,
    "smolvlm": _smolvlm,
    "internvl": _internvl,
}
