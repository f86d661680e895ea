"""What truly differs between the families of models; the rest is written once.

A family says how frames are prepared, how its vision tower is asked, and how a chunk is
written down as tokens and positions. It holds no state: weights and settings are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agent.vlm.layout import ChunkLayout

Grid = tuple[int, int, int]
S = TypeVar("S")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a vision tower made of chunks.

    Attributes:
        outputs: As the stock class takes it back (`mm_encoder_outputs`).
        features: The features of each chunk's visual tokens, (V, F).
    """

    outputs: dict[str, Any]
    features: Sequence[Tensor]


def taken(features: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
    """Take the wanted places out of each chunk's features, (V, F) each."""
    return [each[places] for each, places in zip(features, kept, strict=True)]


@dataclass(frozen=True, slots=True)
class VideoTurn:
    """How a chat template shows a video, where it can't be cut as plain text.

    Attributes:
        marker: What the template writes for a video.
        template: Used in place of the tokenizer's own, if the library does so.
        after: What the library's processor writes behind the last frame.
    """

    marker: str
    template: str | None = None
    after: str = ""


class Family(Protocol[S]):
    """One family; `S` is what its frames are prepared by.

    Modules and configurations are `Any` here: the stock classes share no type that has
    what is asked of them, and a configuration's parts are typed as anything.
    """

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def position_rows(self) -> int:
        """Rows of its rotary positions: 3 (time, height, width) or 1."""

    @property
    def video_turn(self) -> VideoTurn | None:
        """How its chat template shows a video; None if text can stand there."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Special tokens that it writes by their text around what was seen."""

    def settings(self, facts: dict[str, Any], config: Any, max_pixels: int | None) -> S:
        """Give how frames are prepared.

        Args:
            facts: The model's preprocessor configuration.
            config: The model's configuration.
            max_pixels: Most pixels of a frame, as configured.

        Raises:
            ValueError: The facts lack something, or don't fit the model.
        """

    def visual_grid(self, frames: tuple[int, int, int], config: Any, by: S) -> Grid:
        """Give a chunk's visual tokens as (frames, rows, columns).

        Args:
            frames: How many there are, their height and width.
            config: The model's configuration.
            by: How they are prepared.
        """

    def see(
        self,
        module: Any,
        chunks: Sequence[NDArray[np.uint8]],
        kept: Sequence[Tensor],
        by: S,
    ) -> Seen:
        """Run the vision tower over chunks of as many frames each.

        Args:
            module: The stock class.
            chunks: Frames of each, RGB, (N, height, width, 3).
            kept: Of each, the places in its grid whose features are wanted, (V,),
                int64, on the module's device.
            by: How they are prepared.
        """

    def lay_out(
        self,
        times_s: NDArray[np.float64],
        grid: Grid,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
    ) -> ChunkLayout:
        """Write a chunk down as tokens.

        Args:
            times_s: UTC of each frame.
            grid: As `visual_grid` gives it.
            config: The model's configuration.
            tokenizer: The model's tokenizer.
        """
