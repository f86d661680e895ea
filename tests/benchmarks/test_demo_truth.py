"""The demo answers truly: its agent, cameras and questions, over a few seeds."""

import asyncio

import pytest

from agent.vlm.loading import ModelSettings, load_model
from benchmarks.demo_truth import counts_of, measure

SEEDS = [0, 1, 2, 3]
LEAST_RIGHT = 0.75  # the others are answered by "I am not sure."
MOST_WRONG = 0.1


@pytest.mark.timeout(300)
def test_the_demo_answers_truly() -> None:
    rows = asyncio.run(measure(SEEDS, load_model(ModelSettings())))
    counts = counts_of(rows)
    assert counts["asked"] == 4 * len(SEEDS)
    assert counts["right"] >= LEAST_RIGHT * counts["asked"]
    assert counts["wrong"] <= MOST_WRONG * counts["asked"], [
        (row["question"], row["expected"], row["answer"])
        for row in rows
        if not row["is_right"]
    ]
