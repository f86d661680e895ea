"""The retrieval heads of a model, as a small file that calibration leaves.

It lies beside the weights of a local model, else in the user's data folder, and is
believed only for the weights it was measured on.
"""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from agent.vlm.quantised import stored_tensors

FILE = "retrieval_heads.json"
FORMAT = 1
_SAMPLES = 64  # numbers of each weight that go into its digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CalibratedHeads:
    """What a calibration found, and how well it does.

    Attributes:
        weights: Digest of the weights it was measured on.
        heads: (layer, query head) pairs.
        source: What the made-up streams were: `camera` or `text`.
        streams: How many.
        chunks: In each.
        index_keys: Keys per chunk and head, at most.
        questions: Those that the figures below are of; heads were not ranked on them.
        recall_at_1: Share of them whose right chunk is scored highest.
        recall_at_4: Share of them whose right chunk is among the first four.
    """

    weights: str
    heads: tuple[tuple[int, int], ...]
    source: str
    streams: int
    chunks: int
    index_keys: int
    questions: int
    recall_at_1: float
    recall_at_4: float

    def as_json(self) -> str:
        """Write it as a file holds it."""
        body = {"format": FORMAT, **asdict(self)}
        lines = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in body.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def parse(cls, text: str) -> "CalibratedHeads":
        """Read what `as_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            body = json.loads(text)
            if body.pop("format") != FORMAT:
                raise ValueError("another format")
            heads = tuple((int(layer), int(head)) for layer, head in body.pop("heads"))
            found = cls(heads=heads, **body)
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"not retrieval heads: {exc}") from exc
        if not found.heads:
            raise ValueError("no heads in it")
        return found


def weights_digest(module: nn.Module) -> str:
    """Name a model's weights, whatever dtype they were loaded in.

    Which heads retrieve is a matter of the weights alone: not of frame sizes, nor of
    the dtype that a machine runs them in. Quantised weights are others.
    """
    digest = hashlib.sha256()
    for name, weight in stored_tensors(module):
        flat = weight.flatten()
        sample = flat[:: max(1, len(flat) // _SAMPLES)].bfloat16().float().cpu()
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:16]


def places_for(folder: Path | None, weights: str) -> list[Path]:
    """Give where a model's heads may lie, the best place first.

    Args:
        folder: The model's own folder, which need not exist, or None.
        weights: Their digest.
    """
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    of_user = Path(home) / "longwatch" / "heads" / f"{weights}.json"
    return [folder / FILE, of_user] if folder and folder.is_dir() else [of_user]


def find_heads(name: str, places: list[Path], weights: str) -> CalibratedHeads | None:
    """Give the heads calibrated for these weights, or None, and log why.

    Args:
        name: Of the model, for the log.
        places: Where they may lie.
        weights: Digest of the weights in use.
    """
    for place in places:
        if not place.is_file():
            continue
        try:
            found = CalibratedHeads.parse(place.read_text())
        except (OSError, ValueError) as exc:
            logger.warning("%s is left aside: %s", place, exc)
            continue
        if found.weights == weights:
            return found
        logger.warning("%s is of other weights than those of %s", place, name)
    logger.warning(
        "model %s was never calibrated: which chunks a question means is judged by a"
        " guess; run `longwatch calibrate --model %s` (with --weights as configured)",
        name,
        name,
    )
    return None


def save_heads(found: CalibratedHeads, places: list[Path]) -> Path:
    """Write heads to the first place that can be written to, and give it.

    Raises:
        OSError: None of the places can be.
    """
    for place in places[:-1]:
        try:
            return _write(found, place)
        except OSError as exc:
            logger.debug("%s can't be written: %s", place, exc)
    return _write(found, places[-1])


def _write(found: CalibratedHeads, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    half = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        half.write_text(found.as_json())
        half.replace(place)
    finally:
        half.unlink(missing_ok=True)
    return place
