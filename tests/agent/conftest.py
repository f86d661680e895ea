"""The tiny model that tests of the agent ask."""

import pytest
from tiny_model import make_model

from agent.vlm.model import VisionLanguageModel


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return make_model()
