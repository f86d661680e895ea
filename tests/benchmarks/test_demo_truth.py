"""The demo answers truly: its agent, cameras and questions, over a few seeds."""

import asyncio

import pytest

from agent.vlm.loading import ModelSettings, load_model
from benchmarks.demo_truth import measure, right_of

SEEDS = [0, 1, 2, 3]
LEAST_RIGHT = 0.9


@pytest.mark.timeout(300)
def test_the_demo_answers_truly() -> None:
    rows = asyncio.run(measure(SEEDS, load_model(ModelSettings())))
    right, asked = right_of(rows)
    assert asked == 4 * len(SEEDS)
    assert right >= LEAST_RIGHT * asked, [
        (row["question"], row["expected"], row["answer"])
        for row in rows
        if not row["is_right"]
    ]
