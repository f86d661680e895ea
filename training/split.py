"""Which simulated worlds are for what: the one place where the split is written down.

Worlds 0 to 99,999 belong to the demo, to users and to tests; the model must never have
seen one of them.
"""

from enum import IntEnum

import numpy as np

_EPOCH_S, _SPAN_S = 1_700_000_000.0, 400 * 86_400.0


class Split(IntEnum):
    """The first world of each part; a part has 100,000."""

    TRAIN = 100_000
    VALIDATION = 200_000
    TEST = 300_000

    def world(self, number: int) -> int:
        """Give the seed of one world of this part."""
        if not 0 <= number < 100_000:
            raise ValueError(f"a part has worlds 0 to 99,999, not {number}")
        return int(self) + number


def start_of(world: int) -> float:
    """Give the moment, UTC, at which a world of the split is looked at."""
    rng = np.random.default_rng((world, 7))
    return float(np.round(_EPOCH_S + rng.uniform(0, _SPAN_S), 3))
