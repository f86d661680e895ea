"""The index: what every chunk ever remembered is found by, in RAM.

Two marks for each chunk, and the fine keys of the newest as far as a budget in bytes
goes; the others' are in the archive. Marks are the keys furthest from the usual key of
their camera, the mean of all its keys so far. What is asked about is filtered by camera
and time before anything is judged. Chunks may come in any order: after a restart the
newest come first. How they are judged is told in `two_stages.py`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
from torch import Tensor

from memory.kv import ChunkId
from memory.relevance import ChunkKeys
from memory.two_stages import Page

BLOCK_CHUNKS = 8192  # kept together: their logits fit a core's cache


@dataclass(slots=True, eq=False)
class _Block:
    """Room for chunks of one camera, B of them.

    Attributes:
        starts_ms: (B,), int64; likewise the ends.
        ends_ms: (B,), int64.
        marks: (I, 2, B, D), bfloat16.
        fine: (B, I, N, D), bfloat16; None if they are not kept here.
        num_keys: Fine keys of a chunk and head, N.
        count: Chunks that are in.
        newest_ms: When the newest of them began.
    """

    starts_ms: Tensor
    ends_ms: Tensor
    marks: Tensor
    fine: Tensor | None
    num_keys: int
    count: int = 0
    newest_ms: int = 0

    def takes(self, keys: Tensor) -> bool:
        """Tell whether there is room for a chunk with these keys, (I, N', D)."""
        return self.count < BLOCK_CHUNKS and keys.shape[1] <= self.num_keys

    def append(self, ids: Sequence[ChunkId], keys: Tensor, marks: Tensor) -> int:
        """Put in as many chunks as there is room for, and tell how many those are.

        Args:
            ids: Their names.
            keys: Their fine keys, (n, I, N', D).
            marks: Their marks, (n, I, 2, D).
        """
        count = min(len(ids), BLOCK_CHUNKS - self.count)
        rows = slice(self.count, self.count + count)
        self.starts_ms[rows] = torch.tensor([id.start_ms for id in ids[:count]])
        self.ends_ms[rows] = torch.tensor([id.end_ms for id in ids[:count]])
        self.marks[:, :, rows] = marks[:count].permute(1, 2, 0, 3)
        if self.fine is not None:
            again = keys[:, :, :1].expand(-1, -1, self.num_keys - keys.shape[2], -1)
            self.fine[rows] = torch.cat((keys, again), dim=2)[:count]
        self.newest_ms = max(self.newest_ms, *(id.start_ms for id in ids[:count]))
        self.count += count
        return count

    @property
    def num_bytes(self) -> int:
        """What it takes."""
        tensors = (self.starts_ms, self.ends_ms, self.marks, self.fine)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The chunks of some cameras in some time, as they were when asked for.

    Attributes:
        pages: What they are judged by, page by page.
        kept: Where each page's chunks are kept: a block, and rows of it, (c,).
        firsts: The place of each page's first chunk.
    """

    pages: tuple[Page, ...]
    kept: tuple[tuple[_Block, Tensor], ...]
    firsts: tuple[int, ...]

    @classmethod
    def of(cls, found: Sequence[tuple[Page, _Block, Tensor]]) -> "Window":
        """Count through pages and where they are kept."""
        sizes = (len(page.starts_ms) for page, *_ in found)
        return cls(
            tuple(page for page, *_ in found),
            tuple((block, rows) for _, block, rows in found),
            tuple(accumulate(sizes, initial=0))[:-1],
        )

    def chunk(self, place: int) -> ChunkId:
        """Give the chunk at a place, counted through all pages."""
        number, row = self._find(place)
        page = self.pages[number]
        return ChunkId(page.camera, int(page.starts_ms[row]), int(page.ends_ms[row]))

    def keys(self, place: int) -> ChunkKeys | None:
        """Give its fine keys, None if only the archive has them."""
        number, row = self._find(place)
        block, rows = self.kept[number]
        if block.fine is None:
            return None
        return ChunkKeys(self.chunk(place), block.fine[rows[row]])

    def _find(self, place: int) -> tuple[int, int]:
        """Give the page of a place, and the row in it."""
        number = bisect_right(self.firsts, place) - 1
        return number, place - self.firsts[number]


class ChunkIndex:
    """All cameras' index. Belongs to the event loop; a `Window` may go to a thread.

    Args:
        budget_bytes: What marks and fine keys may take together. Marks are kept
            whatever it says: nothing is lost to the search.

    Attributes:
        num_bytes: What they take.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._blocks: dict[str, list[_Block]] = {}
        self._seen: dict[str, tuple[Tensor, int]] = {}  # sum of all keys, (I, D)
        self._since_ms: dict[str, int] = {}  # what ended by then is forgotten
        self.num_bytes = 0

    @property
    def bytes_per_chunk(self) -> int:
        """What a chunk takes whose fine keys are here, 0 as long as there is none."""
        blocks = [b for some in self._blocks.values() for b in some]
        return max((b.num_bytes // BLOCK_CHUNKS for b in blocks), default=0)

    def __len__(self) -> int:
        return sum(len(p.starts_ms) for p in self.window(list(self._blocks)).pages)

    def add(self, chunks: Sequence[ChunkKeys]) -> None:
        """Take up chunks.

        Args:
            chunks: Not taken up before, their index keys on the CPU. One without any
                can't be judged, and is left out.
        """
        judged = [chunk for chunk in chunks if chunk.index_keys.shape[1]]
        alike = groupby(judged, lambda c: (c.id.camera, c.index_keys.shape[1]))
        for (camera, _), group in alike:
            some = list(group)
            keys = torch.stack([chunk.index_keys for chunk in some])  # (n, I, N, D)
            marks = self._marks_of(camera, keys)  # (n, I, 2, D)
            while some:
                block = self._block_for(some[0])
                count = block.append([chunk.id for chunk in some], keys, marks)
                some, keys, marks = some[count:], keys[count:], marks[count:]

    def has(self, chunk: ChunkId) -> bool:
        """Tell whether a chunk was taken up."""
        return any(
            bool((block.starts_ms[: block.count] == chunk.start_ms).any())
            for block in self._blocks.get(chunk.camera, [])
        )

    def forget(self, camera: str, before_ms: int) -> None:
        """Drop a camera's chunks that ended by a moment."""
        self._since_ms[camera] = max(before_ms, self._since_ms.get(camera, 0))
        kept = []
        for block in self._blocks.get(camera, []):
            if bool((block.ends_ms[: block.count] > before_ms).any()):
                kept.append(block)
            else:
                self.num_bytes -= block.num_bytes
        self._blocks[camera] = kept

    def window(
        self,
        cameras: Sequence[str],
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> Window:
        """Give the chunks of cameras that overlap [start_ms, end_ms)."""
        found = [
            each for camera in cameras for each in self._pages(camera, start_ms, end_ms)
        ]
        return Window.of(found)

    def _pages(
        self, camera: str, start_ms: int | None, end_ms: int | None
    ) -> Iterator[tuple[Page, _Block, Tensor]]:
        since_ms = max(start_ms or 0, self._since_ms.get(camera, 0))
        for block in self._blocks.get(camera, []):
            starts, ends = block.starts_ms[: block.count], block.ends_ms[: block.count]
            inside = ends > since_ms  # (count,)
            if end_ms is not None:
                inside &= starts < end_ms
            rows = inside.nonzero()[:, 0]  # (c,)
            if len(rows) == block.count:
                yield (
                    Page(camera, starts, ends, block.marks[:, :, : block.count]),
                    block,
                    rows,
                )
            elif len(rows):
                page = Page(camera, starts[rows], ends[rows], block.marks[:, :, rows])
                yield page, block, rows

    def _marks_of(self, camera: str, keys: Tensor) -> Tensor:
        """Give chunks' marks, (n, I, 2, D), and count their keys (n, I, N, D) in."""
        sums, count = self._seen.get(camera, (torch.zeros(()), 0))
        totals = keys.float().sum(dim=2).cumsum(dim=0) + sums  # (n, I, D)
        counts = count + keys.shape[2] * torch.arange(1, len(keys) + 1)  # (n,)
        self._seen[camera] = totals[-1], int(counts[-1])
        usual = (totals / counts[:, None, None])[:, :, None]  # (n, I, 1, D)
        distance = torch.norm(keys.float() - usual, dim=-1)  # (n, I, N)
        furthest = distance.topk(min(2, keys.shape[2])).indices[..., None]
        marks = keys.gather(2, furthest.expand(-1, -1, -1, keys.shape[-1]))
        return marks.expand(-1, -1, 2, -1)

    def _block_for(self, chunk: ChunkKeys) -> _Block:
        """Give the block that a chunk goes into."""
        blocks = self._blocks.setdefault(chunk.id.camera, [])
        if not blocks or not blocks[-1].takes(chunk.index_keys):
            blocks.append(self._new_block(chunk.index_keys, chunk.id.start_ms))
        return blocks[-1]

    def _new_block(self, keys: Tensor, start_ms: int) -> _Block:
        """Make room for more chunks such as this one, with fine keys if they fit."""
        heads, num_keys, size = keys.shape
        block = _Block(
            torch.zeros(BLOCK_CHUNKS, dtype=torch.int64),
            torch.zeros(BLOCK_CHUNKS, dtype=torch.int64),
            torch.empty(heads, 2, BLOCK_CHUNKS, size, dtype=torch.bfloat16),
            torch.empty(BLOCK_CHUNKS, heads, num_keys, size, dtype=torch.bfloat16),
            num_keys,
        )
        self.num_bytes += block.num_bytes
        blocks = [b for some in self._blocks.values() for b in some] + [block]
        block.newest_ms = start_ms
        for oldest in sorted(blocks, key=lambda b: b.newest_ms):
            if self.num_bytes <= self._budget_bytes:
                break
            self.num_bytes -= 0 if oldest.fine is None else oldest.fine.nbytes
            oldest.fine = None
        return block
