"""The built-in model as it ships: its folder, its size, and that it answers truly."""

import pytest
import torch

from agent.vlm import builtin
from agent.vlm.loading import ModelSettings, load_model
from ingest.simulation.questions import QuestionType
from training.evaluate import answers_on, film, questions_on

CPU = ModelSettings(device="cpu", dtype="float32")
WORLD, CHUNKS = 41, 16
ASKED = {QuestionType.COLOUR, QuestionType.KIND, QuestionType.SIDE}


def test_it_is_small_and_says_that_it_is_trained() -> None:
    model = load_model(CPU)
    assert model.is_trained
    assert sum(weight.numel() for weight in model.module.parameters()) <= 10_000_000
    weights = builtin.FOLDER / "model.safetensors"
    assert weights.stat().st_size <= 16 * 2**20


def test_it_loads_like_any_other_folder() -> None:
    named = load_model(CPU)
    by_folder = load_model(ModelSettings(name=str(builtin.FOLDER), device="cpu"))
    assert by_folder.patches == named.patches
    assert by_folder.fingerprint == named.fingerprint
    theirs = by_folder.module.state_dict()
    for name, weight in named.module.state_dict().items():
        assert torch.equal(weight, theirs[name]), name
    text = "When was #47 seen?"
    assert named.tokenizer.encode(text) == by_folder.tokenizer.encode(text)


def test_what_it_is_built_from_fits_what_ships() -> None:
    tokenizer = builtin.build_tokenizer()
    shipped = load_model(CPU)
    assert tokenizer.get_vocab() == shipped.tokenizer.get_vocab()
    fresh = builtin.build_module(builtin.build_config(tokenizer)).state_dict()
    shapes = {
        name: weight.shape for name, weight in shipped.module.state_dict().items()
    }
    assert {name: weight.shape for name, weight in fresh.items()} == shapes


@pytest.mark.timeout(90)
def test_it_answers_about_a_camera_it_never_saw() -> None:
    questions = [q for q in questions_on(WORLD, CHUNKS, 6) if q.type in ASKED]
    answers = answers_on(load_model(CPU), film(WORLD, CHUNKS), questions)
    right = sum(q.is_right(a) for q, a in zip(questions, answers, strict=True))
    assert right >= 0.8 * len(questions) >= 8
