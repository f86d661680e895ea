import pytest
import torch
from tiny_model import make_model

from agent.calibration.run import Plan, calibrate, every_head
from agent.errors import CalibrationFailedError
from agent.vlm.loading import ModelSettings, default_heads, load_model
from memory.rehydration import compose


@pytest.mark.timeout(60)
def test_the_heads_found_beat_the_guess_on_streams_held_out() -> None:
    model = load_model(ModelSettings(device="cpu", dtype="float32"))
    guessed = model.with_heads(default_heads(4, 4))
    steps: list[None] = []
    plan = Plan("camera", streams=4, chunks=16)
    report = calibrate(guessed, plan, lambda: steps.append(None))
    assert len(steps) == plan.steps == 64
    assert report.found.questions > 20
    assert report.found.recall_at_1 > report.before["recall_at_1"] + 0.2
    assert set(report.found.heads) <= set(every_head(model))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("source", ["camera", "text"])
def test_random_weights_retrieve_nothing_and_that_is_said(source: str) -> None:
    with pytest.raises(CalibrationFailedError, match="no heads of tiny"):
        calibrate(make_model(), Plan(source, streams=2, chunks=24), lambda: None)


def test_a_chunk_of_text_is_read_as_if_it_had_been_in_the_prompt() -> None:
    model = make_model()
    sink = model.prefill_sink()
    text, question = "the car came from the left", "where did it come from ?"
    kv = model.prefill_text(text, [sink])
    ids = model.tokenize(question)
    parts = compose([sink, kv], model.rotary, room=len(ids))
    whole = compose([sink], model.rotary, room=kv.num_tokens + len(ids))
    at_once = torch.cat((model.tokenize(text), ids))
    torch.testing.assert_close(
        model.extend(parts, ids), model.extend(whole, at_once), atol=1e-4, rtol=1e-4
    )
