"""The worlds that a model learns from, is chosen by and is judged on."""

from enum import Enum

import numpy as np

from ingest.simulation import split

_EPOCH_S, _SPAN_S = 1_700_000_000.0, 400 * 86_400.0


class Split(Enum):
    """The worlds of each part."""

    TRAIN = split.TRAIN
    VALIDATION = split.VALIDATION
    TEST = split.TEST

    def world(self, number: int) -> int:
        """Give the seed of one world of this part."""
        if not 0 <= number < len(self.value):
            raise ValueError(
                f"a part has worlds 0 to {len(self.value) - 1:,}, not {number}"
            )
        return self.value[number]


def start_of(world: int) -> float:
    """Give the moment, UTC, at which a world of the split is looked at."""
    rng = np.random.default_rng((world, 7))
    return float(np.round(_EPOCH_S + rng.uniform(0, _SPAN_S), 3))
