"""The tokens around a lesson's frames, as the product lays them out.

G  streams   N  chunks of a stream   S  tokens of a chunk   K  sink tokens
"""

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from agent.vlm.prompt import Prompt
from agent.vlm.qwen3_vl import ChunkLayout, lay_out, time_stamp
from training.device import moved
from training.footage import PAIRS_PER_CHUNK
from training.labels import CELLS
from training.reading import Places

_CLOCK = ((3600, 24), (60, 60), (1, 60))  # seconds of a unit, and how many there are


class Template:
    """Knows where they stand, and writes the times that are in them.

    Attributes:
        layout: Of a chunk.
        places: Where its tokens stand.
        sink_ids: The system prompt's tokens, (K,).
    """

    def __init__(
        self,
        module: Qwen3VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        grid = (PAIRS_PER_CHUNK, CELLS, CELLS)
        times = [float(second) for second in range(PAIRS_PER_CHUNK)]
        layout = lay_out(times, grid, module.config, tokenizer)
        self.layout: ChunkLayout = moved(layout, module.device)
        self.places = Places(self.layout.positions, self.layout.span)
        prompt = Prompt.of(tokenizer, frozenset())
        sink_ids = tokenizer.encode(prompt.before)
        self.sink_ids = torch.tensor(sink_ids, device=module.device)
        self._stamps = [  # the token of each hour, minute and second
            torch.tensor(
                [tokenizer.encode(time_stamp(unit * n))[part] for n in range(count)],
                device=module.device,
            )
            for part, (unit, count) in enumerate(_CLOCK)
        ]

    def chunk_ids(self, stamps: Tensor) -> Tensor:
        """Give token ids (G, N, S) for the second of the day of each pair.

        Args:
            stamps: (G, N, pairs).
        """
        ids = self.layout.token_ids.expand(*stamps.shape[:2], -1).clone()
        step = ids.shape[2] // PAIRS_PER_CHUNK
        starts = step * torch.arange(PAIRS_PER_CHUNK, device=ids.device)
        for offset, (unit, count) in enumerate(_CLOCK):
            words = self._stamps[offset][stamps // unit % count]  # (G, N, pairs)
            ids[:, :, starts + offset] = words
        return ids
