"""Work out what memory costs for each supported model: no weights, no network.

Run `python -m benchmarks.budget`: it fills the tables of docs/memory-budget.md, which
tells the formulas of `budget_costs`. `tests/benchmarks/test_budget.py` holds those to
the product's own objects.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from agent.desk import MAX_AT_ONCE
from agent.screen import show_size
from benchmarks.budget_costs import (
    CHUNK_S,
    DAILY,
    DAY_S,
    MEMORY,
    MODEL,
    RETENTION_S,
    WATCHING,
    WAYS,
    Costs,
)
from benchmarks.budget_models import all_costs
from benchmarks.tables import ROOT, fill

PAGE = ROOT / "docs" / "memory-budget.md"
CAMERAS = (1, 4, 16)
NUMBERS = ("model", "int8", "int4")
ARCHIVE_BYTES = 100e9
INDEX_DAYS = (7, 30)
NO_BOUND = math.inf
CARD_BYTES = 24e9
SPARE_BYTES = 3e9  # estimated: activations, and what the libraries take
CONTEXTS = (MEMORY.context_tokens, MEMORY.context_tokens // 2)
NONE = "-"
STEP_TOKENS = 1024  # a camera's share of `resident_tokens` is rounded up to


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page, a line for each model.

    Attributes:
        titles: Of its columns behind the model's name.
        cells: What stands in them.
        has_builtin: Whether the built-in model is in it.
    """

    titles: Sequence[str]
    cells: Callable[[Costs], Sequence[str]]
    has_builtin: bool = True

    def write(self) -> str:
        """Give it as Markdown."""
        lines = [["model", *self.titles], ["---"] * (1 + len(self.titles))]
        first = 0 if self.has_builtin else 1
        lines += [[costs.name, *self.cells(costs)] for costs in all_costs()[first:]]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share_tokens(costs: Costs) -> int:
    """Give the resident tokens that one camera wants, in steps."""
    return math.ceil(costs.tokens_needed(0) / STEP_TOKENS) * STEP_TOKENS


def cameras_on_card(costs: Costs, way: str, context_tokens: int) -> int:
    """Give how many cameras a card holds with all that they want, 0 for none.

    Beside them it holds weights and the most questions that are decoded together.

    Args:
        costs: The model's.
        way: What its weights are held in, one of `WAYS`.
        context_tokens: Most that a question reads.
    """
    taken = costs.weight_bytes(way) + costs.answering_bytes(context_tokens)
    left = CARD_BYTES - SPARE_BYTES - taken
    each = costs.resident_bytes(share_tokens(costs)) + costs.watching_bytes()
    return max(int(left // each), 0)


def write_settings() -> str:
    """Give the settings that all figures are of."""
    height, width = WATCHING.frame_size
    frames = f"{WATCHING.chunk_frames} frames of {width}x{height}"
    return (
        f"Default settings: chunks of {frames} at {WATCHING.fps:g} a second,"
        f" {CHUNK_S:g} s each, {DAILY:,.0f} a day; H-KV factor {MEMORY.high_factor},"
        f" L-KV {MEMORY.low_factor}, a minute {MEMORY.minute_factor}, an hour"
        f" {MEMORY.hour_factor}, a day {MEMORY.day_factor}; `resident_tokens`"
        f" {MEMORY.resident_tokens:,}, `context_tokens` {MEMORY.context_tokens:,},"
        f" `max_new_tokens` {MODEL.max_new_tokens}, `index_keys` {MEMORY.index_keys},"
        f" `index_bytes` {show_size(MEMORY.index_bytes)}, retention"
        f" {RETENTION_S / DAY_S:g} days. Keys and values in bfloat16. The card has"
        f" {CARD_BYTES / 1e9:g} GB, of which {SPARE_BYTES / 1e9:g} are left free."
    )


def _device(costs: Costs) -> Sequence[str]:
    sizes = (
        costs.resident_bytes(MEMORY.resident_tokens),
        costs.watching_bytes(),
        costs.cache_bytes(),
        costs.answering_bytes(),
    )
    counts = (costs.kv_bytes(1), costs.tokens, costs.high, costs.low)
    return [*(f"{count:,}" for count in counts), *map(show_size, sizes)]


def _kept(costs: Costs) -> Sequence[str]:
    counts = [*costs.node_tokens().values(), round(costs.tokens_needed(0))]
    each = [costs.least_kept(MEMORY.resident_tokens / number) for number in CAMERAS]
    kept = (_round(least) if least >= 0 else NONE for least in each)
    return [*(f"{count:,}" for count in counts), *kept]


def _archive(costs: Costs) -> Sequence[str]:
    low = [costs.low_bytes_a_day(numbers) for numbers in NUMBERS]
    sizes = [show_size(round(size)) for size in (costs.high_bytes_a_day(), *low)]
    return [*sizes, *(_round(ARCHIVE_BYTES / size) for size in low)]


def _index(costs: Costs) -> Sequence[str]:
    each = (costs.mark_bytes(), costs.key_bytes(MEMORY.index_keys))
    cells = [str(costs.index_heads), *(show_size(round(one * DAILY)) for one in each)]
    for days, budget in product(INDEX_DAYS, (MEMORY.index_bytes, NO_BOUND)):
        size, fine = costs.index_bytes(round(days * DAILY), budget)
        told = "" if budget == NO_BOUND else f" ({_round(fine / DAILY)})"
        cells.append(f"{show_size(size)}{told}")
    return cells


def _card(costs: Costs) -> Sequence[str]:
    sizes = [show_size(costs.weight_bytes(way)) for way in WAYS]
    held = [cameras_on_card(costs, way, most) for most in CONTEXTS for way in WAYS]
    return [*sizes, f"{share_tokens(costs):,}", *(str(count or NONE) for count in held)]


def _round(number: float) -> str:
    """Write two digits of a number."""
    return f"{float(f'{number:.2g}'):g}"


TABLES: Mapping[str, Table] = {
    "device": Table(
        (
            *("bytes per token", "chunk, tokens", "H-KV", "L-KV", "resident H-KV"),
            *("a camera", "a question", f"{MAX_AT_ONCE} questions"),
        ),
        _device,
    ),
    "kept": Table(
        (
            *("chunk", "minute", "hour", "day", "a camera wants"),
            *(f"n, {n} camera{'s' * (n > 1)}" for n in CAMERAS),
        ),
        _kept,
    ),
    "archive": Table(
        (
            "H-KV, keys, nodes",
            *(f"L-KV, {numbers}" for numbers in NUMBERS),
            *(f"days in {ARCHIVE_BYTES / 1e9:g} GB, {way}" for way in NUMBERS),
        ),
        _archive,
    ),
    "index": Table(
        (
            *("heads", "marks a day", "fine keys a day"),
            *(f"{d} days{way}" for d in INDEX_DAYS for way in ("", ", all fine")),
        ),
        _index,
    ),
    "card": Table(
        (
            *(f"weights, {way}" for way in WAYS),
            "tokens a camera",
            *(f"{way}, {most:,}" for most in CONTEXTS for way in WAYS),
        ),
        _card,
        has_builtin=False,
    ),
}


def write_page(text: str) -> str:
    """Give the page with its settings and tables as they are now.

    Raises:
        ValueError: The page lacks the markers of one.
    """
    text = fill(text, "settings", write_settings())
    for name, table in TABLES.items():
        text = fill(text, name, table.write())
    return text


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text()))
