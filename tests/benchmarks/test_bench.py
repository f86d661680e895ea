"""What a question's first token is said to take, by a clock that the test drives."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tiny_model import make_model

from benchmarks import bench
from benchmarks.bench import Bench
from benchmarks.contexts import Setup
from benchmarks.opening import open_store
from benchmarks.rows import StreamRun
from benchmarks.streams import questions_on, take_of
from memory.store import MemoryStore
from training.split import Split

SCORE_S, RECALL_S, QUERIES_S, COMPOSE_S, TOKEN_S = 1.0, 2.0, 4.0, 8.0, 16.0


@dataclass
class Clock:
    """Stands still but where a test moves it."""

    now_s: float = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def slow(self, real: Callable[..., Any], takes_s: float) -> Callable[..., Any]:
        def slowed(*about: Any, **more: Any) -> Any:
            self.now_s += takes_s
            return real(*about, **more)

        return slowed

    def slow_tokens(self, *_: Any) -> Iterator[int]:
        for token in (1, 2):
            self.now_s += TOKEN_S
            yield token


def test_the_first_token_waits_for_scoring_fetching_and_composing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    recall = clock.slow(MemoryStore.recall, RECALL_S)
    monkeypatch.setattr(bench, "time", clock)
    monkeypatch.setattr(bench, "score", clock.slow(bench.score, SCORE_S))
    monkeypatch.setattr(MemoryStore, "recall", recall)
    queries = clock.slow(bench.all_queries, QUERIES_S)
    monkeypatch.setattr(bench, "all_queries", queries)
    monkeypatch.setattr(bench, "compose", clock.slow(bench.compose, COMPOSE_S))
    monkeypatch.setattr(bench, "decode", clock.slow_tokens)
    wanted = frozenset({"full", "bilevel", "oracle", "rekv"})
    model, take = make_model(), take_of(Split.VALIDATION.world(3), 6)
    asked = questions_on(take, 1)[:2]

    async def watch_and_ask() -> StreamRun:
        async with open_store(model, Setup()) as store:
            return await Bench(model, store, Setup(), wanted).run(take, asked)

    run = asyncio.run(watch_and_ask())
    taken: dict[str, set[float]] = {}
    for trial in run.trials:
        taken.setdefault(trial.label.context, set()).add(trial.first_token_ms / 1000)
    assert taken == {
        "full": {COMPOSE_S + TOKEN_S},
        "oracle": {RECALL_S + COMPOSE_S + TOKEN_S},
        "bilevel": {SCORE_S + RECALL_S + COMPOSE_S + TOKEN_S},
        "rekv": {QUERIES_S + COMPOSE_S + TOKEN_S},
    }
