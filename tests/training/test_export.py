"""The folder that training writes is the one that ships, file by file."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from transformers import (
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)

from agent.calibration.sureness import FILE as SURENESS
from agent.vlm import builtin
from agent.vlm.calibrated_heads import FILE as HEADS
from agent.vlm.preprocessing import PatchSettings
from agent.vlm.prompt import SYSTEM
from training.export import export

WEIGHTS = "model.safetensors"
PLAIN = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }} {{ message['content'] }}<|im_end|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)
ODD = [
    "",
    " ",
    "\n trail \n",
    "{{ x }} {% if %}",
    "<|video_pad|>",
    "[{'type': 'video'}]",
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    tokenizer = builtin.build_tokenizer()
    module = builtin.build_module(builtin.build_config(tokenizer))
    export(module, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(builtin.FOLDER)
    return found


def read(path: Path) -> object:
    if path.suffix != ".json":
        return path.read_bytes()
    facts = json.loads(path.read_text())
    facts.pop("transformers_version", None)  # of whoever wrote it
    return facts


def test_what_ships_is_what_training_writes(fresh: Path) -> None:
    shipped = {path.name for path in builtin.FOLDER.iterdir()}
    shipped -= {HEADS, SURENESS}  # found afterwards
    assert shipped == {path.name for path in fresh.iterdir()}
    assert "README.md" in shipped
    for name in sorted(shipped - {WEIGHTS}):
        assert read(builtin.FOLDER / name) == read(fresh / name), name


@pytest.mark.parametrize("text", [SYSTEM, *ODD])
def test_plain_text_is_written_as_the_model_was_trained_to_read_it(
    text: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    roles = ("system", "user", "assistant")
    messages = [{"role": role, "content": text} for role in roles]
    for number in range(1, 4):
        written = [
            tokenizer.apply_chat_template(
                messages[:number],
                chat_template=template,
                tokenize=False,
                add_generation_prompt=bool(number % 2),
            )
            for template in (None, PLAIN)
        ]
        assert written[0] == written[1]


def test_pictures_and_videos_are_written_as_their_tokens(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    asked = [
        {"type": "video", "video": "door.mp4"},
        {"type": "image"},
        {"type": "text", "text": "When was #47 seen?"},
    ]
    content = [{"type": "text", "text": SYSTEM}]
    messages = [{"role": "system", "content": content}]
    messages += [{"role": "user", "content": asked}]
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert text == (
        f"<|im_start|>system {SYSTEM}<|im_end|><|im_start|>user "
        "<|vision_start|><|video_pad|><|vision_end|>"
        "<|vision_start|><|image_pad|><|vision_end|>"
        "When was #47 seen?<|im_end|><|im_start|>assistant"
    )


def test_the_library_prepares_pictures_as_we_do() -> None:
    found = AutoImageProcessor.from_pretrained(builtin.FOLDER).to_dict()
    assert PatchSettings.of(found, None) == builtin.PATCHES


def test_videos_have_as_many_pixels_a_frame_as_pictures() -> None:
    picture, video = (
        json.loads((builtin.FOLDER / name).read_text())
        for name in ("preprocessor_config.json", "video_preprocessor_config.json")
    )
    common = picture.keys() - {"image_processor_type"}
    assert {name: video[name] for name in common} == {
        name: picture[name] for name in common
    }
    unit = video["patch_size"] * video["merge_size"]
    assert video["cap_pixels_per_frame"]
    assert video["max_video_tokens"] * unit**2 == picture["size"]["longest_edge"]


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="has torchvision")
def test_the_library_s_processor_lacks_torchvision_only() -> None:
    with pytest.raises(ImportError) as caught:
        AutoProcessor.from_pretrained(builtin.FOLDER)
    lines = str(caught.value).strip().splitlines()
    lacking = [line for line in lines if "not found in your environment" in line]
    assert len(lacking) == 1
    assert lacking[0].startswith("Qwen3VLVideoProcessor requires the Torchvision")
