"""How many positions a chunk should take in a composed cache, in answers.

Run `python -m benchmarks.positions --split validation --seeds 0-11 --contexts full
bilevel h_only` (further options are those of `benchmarks.accuracy`). The same questions
are asked once for each width; docs/decisions/0002-positions.md says what came out.
"""

from collections.abc import Callable, Mapping
from unittest.mock import patch

from benchmarks.accuracy import make_parser, measure, parse
from benchmarks.rows import show
from memory import rehydration
from memory.kv import KV

WIDTHS: Mapping[str, Callable[[KV], int]] = {
    "as many as tokens kept, at most its span": rehydration.width,
    "its span": lambda run: run.span,
    "one": lambda _: 1,
}


def main() -> None:
    """Measure and show each width."""
    parser = make_parser("python -m benchmarks.positions")
    arguments = parse(parser)
    if arguments.json:
        parser.error("positions are shown, not written: leave --json away")
    for name, width in WIDTHS.items():
        with parser.tells(), patch.object(rehydration, "width", width):
            result = measure(arguments)
        print(f"\nA chunk takes positions: {name}")
        show(result)


if __name__ == "__main__":
    main()
