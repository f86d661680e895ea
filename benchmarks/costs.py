"""What a memory costs a chunk, beside the full KV that it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one length of stream, per chunk.

    Attributes:
        index_bytes: Of its index keys, on the device.
        archive_bytes: Of both levels in the archive.
        shares: What the mix reads of full KV, its index counted, by k; none where the
            result does not tell what full KV is.
    """

    index_bytes: int
    archive_bytes: int
    shares: Mapping[int, float]

    def __str__(self) -> str:
        """Tell it in a sentence."""
        told = (
            f"A chunk takes {self.index_bytes:,} bytes in the index and "
            f"{self.archive_bytes:,} in the archive"
        )
        if not self.shares:
            return f"{told}."
        shares = ", ".join(f"{100 * share:.1f}" for share in self.shares.values())
        return (
            f"{told}; with its index, the mix reads {shares} % of full KV "
            f"(k = {', '.join(map(str, self.shares))})."
        )


def costs_of(result: Mapping[str, Any], chunks: int) -> Costs:
    """Give the costs in streams of a length."""
    rows = [
        row
        for row in result["rows"]
        if (row["chunks"], row["type"], row["age"]) == (chunks, "all", "all")
    ]
    index_bytes = rows[0]["index_bytes_per_chunk"]
    full_tokens = _tokens(rows, "full").get(0, result.get("full_tokens_per_chunk"))
    full_bytes = result.get("full_bytes_per_chunk")
    shares: dict[int, float] = {}
    if full_tokens and full_bytes:
        shares = {
            k: tokens / full_tokens + index_bytes / full_bytes
            for k, tokens in sorted(_tokens(rows, "bilevel").items())
        }
    return Costs(index_bytes, rows[0]["archive_bytes_per_chunk"], shares)


def _tokens(rows: list[dict[str, Any]], context: str) -> dict[int, float]:
    """Give the KV tokens a chunk that a context reads, by k."""
    return {r["k"]: r["tokens_per_chunk"] for r in rows if r["context"] == context}
