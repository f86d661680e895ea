"""When a model abstains, as a small file that lies beside its retrieval heads.

The built-in model's is shipped with it. Any other model has none until somebody writes
one, and then nothing of it is abstained from. It is believed only for the weights that
it was found with.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from agent.abstention import Abstention
from agent.vlm.calibrated_heads import FILE as HEADS
from agent.vlm.calibrated_heads import weights_digest
from agent.vlm.loading import heads_places
from agent.vlm.model import VisionLanguageModel

FILE = "abstention.json"
FORMAT = 1

logger = logging.getLogger(__name__)


def abstention_of(model: VisionLanguageModel) -> Abstention | None:
    """Give when a model abstains, None if that was never calibrated: reads files.

    Args:
        model: As loaded; on another device or in another dtype it is as sure within
            rounding.
    """
    weights = weights_digest(model.module)
    for place in places_of(model):
        if not place.is_file():
            continue
        try:
            found = parse(place.read_text())
        except (OSError, ValueError) as exc:
            logger.warning("%s is left aside: %s", place, exc)
            continue
        if found.weights == weights:
            return found
        logger.warning("%s is of other weights than those of %s", place, model.name)
    return None


def places_of(model: VisionLanguageModel) -> list[Path]:
    """Give where a model's file may lie, the best place first."""
    return [
        place.with_name(FILE) if place.name == HEADS else place.with_suffix(f".{FILE}")
        for place in heads_places(model)
    ]


def write(found: Abstention) -> str:
    """Write it as a file holds it."""
    body = {"format": FORMAT, **asdict(found)}
    lines = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in body.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse(text: str) -> Abstention:
    """Read what `write` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        body = json.loads(text)
        if body.pop("format") != FORMAT:
            raise ValueError("another format")
        return Abstention(**body)
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not when to abstain: {exc}") from exc
