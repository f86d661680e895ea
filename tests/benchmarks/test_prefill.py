from agent.vlm.loading import ModelSettings, load_model
from benchmarks.prefill import FOLDER, measure
from memory.compression.bilevel import LevelSettings
from training.evaluate import film
from training.split import Split

SUMMARY = ModelSettings(name=str(FOLDER), device="cpu")


def test_one_prefill_with_both_sets_runs_fewer_tokens_than_two() -> None:
    rows = measure(load_model(SUMMARY), 2)
    assert [row["tokens"] for row in rows] == [84, 84 + 36, 2 * 84 + 4 + 32]
    assert rows[0]["times_none"] == 1.0


def test_the_summary_model_writes_both_sets() -> None:
    model = load_model(SUMMARY)
    [chunk] = film(Split.VALIDATION.world(0), 1)
    whole = model.prefill(chunk, [model.prefill_sink()])
    kept = [LevelSettings("summary", f).apply(whole).num_tokens for f in (16, 2)]
    assert kept == [4, 32]
