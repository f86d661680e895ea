"""At most one alert of each happening, whatever the verdicts."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.standing.happening import (
    END_CHUNKS,
    END_S,
    HYSTERESIS,
    Happening,
    Phase,
    Rules,
)

CHUNK_S = 4.0
RULES = Rules(margin=2.0, cooldown_s=60.0)
YES, MAYBE, NO = 5.0, 1.0, -5.0
ODDS = st.lists(st.floats(-9, 9) | st.sampled_from([YES, MAYBE, NO]), max_size=80)


@dataclass
class Run:
    """Verdicts put in one after the other, each on a chunk of four seconds."""

    rules: Rules = RULES
    state: Happening = field(
        default_factory=lambda: Happening().settled(is_going=False, time_s=0)
    )
    time_s: float = 0.0
    alerts: list[float] = field(default_factory=list)

    def put(self, *odds: float, after_s: float = CHUNK_S) -> "Run":
        for each in odds:
            self.time_s += after_s
            if self.state.is_news(each, self.time_s, self.rules):
                self.alerts.append(self.time_s)
                self.state = self.state.alerted(self.time_s)
            else:
                self.state = self.state.after(each, self.time_s, self.rules)
        return self


def test_a_rising_verdict_is_one_alert_however_long_it_lasts() -> None:
    assert Run().put(NO, YES, *[YES] * 50).alerts == [8.0]


def test_what_comes_back_after_a_clear_no_is_news() -> None:
    run = Run().put(YES, *[NO] * 20, YES)
    assert run.alerts == [4.0, 88.0]


def test_a_flicker_is_the_same_happening() -> None:
    run = Run(Rules(2.0, cooldown_s=0.0)).put(YES, NO, YES, MAYBE, NO, YES)
    assert run.alerts == [4.0]


def test_what_is_neither_yes_nor_no_ends_nothing() -> None:
    run = Run(Rules(2.0, cooldown_s=0.0)).put(YES, *[MAYBE] * 40, YES)
    assert run.alerts == [4.0]
    assert not RULES.is_clear_no(MAYBE)
    assert RULES.is_clear_no(RULES.margin - HYSTERESIS)


def test_one_clear_no_long_after_is_enough() -> None:
    run = Run(Rules(2.0, cooldown_s=0.0)).put(YES)
    run.put(NO, after_s=END_S).put(YES)
    assert len(run.alerts) == 2


def test_no_alert_comes_while_the_last_one_cools_down() -> None:
    run = Run().put(YES, NO, NO, YES)
    assert run.alerts == [4.0]
    assert run.put(*[YES] * 20).alerts == [4.0, 64.0], "it is still going on then"


def test_what_was_there_before_is_no_news() -> None:
    there = Happening().settled(is_going=True, time_s=0.0)
    run = Run(state=there).put(YES, YES)
    assert run.alerts == []
    assert run.put(NO, NO, YES).alerts == [20.0]


def test_nothing_is_news_before_what_was_before_is_known() -> None:
    state = Happening()
    assert state.phase is Phase.UNKNOWN
    assert not state.is_news(9.0, 4.0, RULES)
    assert state.after(9.0, 4.0, RULES) == state


def test_a_clock_that_went_back_cools_nothing_down() -> None:
    state = Happening(Phase.QUIET, alerted_s=1000.0)
    assert state.is_news(YES, 500.0, RULES)
    assert not state.is_news(YES, 1001.0, RULES)


@given(ODDS, st.floats(0, 100), st.floats(-3, 5))
def test_alerts_are_apart_and_between_two_there_was_a_clear_no(
    odds: list[float], cooldown_s: float, margin: float
) -> None:
    rules = Rules(margin, cooldown_s)
    run = Run(rules).put(*odds)
    times = [CHUNK_S * (n + 1) for n in range(len(odds))]
    said = dict(zip(times, odds, strict=True))
    for first, second in zip(run.alerts, run.alerts[1:], strict=False):
        assert second - first >= cooldown_s
        between = [said[t] for t in times if first < t < second]
        noes = [each for each in between if rules.is_clear_no(each)]
        assert len(noes) >= 1
        assert len(noes) >= END_CHUNKS or second - first >= END_S
    assert all(said[time_s] >= margin for time_s in run.alerts)


@given(ODDS, ODDS)
def test_a_restart_in_between_changes_nothing(
    before: list[float], after: list[float]
) -> None:
    whole = Run().put(*before, *after)
    first = Run().put(*before)
    second = Run(state=first.state, time_s=first.time_s).put(*after)
    assert first.alerts + second.alerts == pytest.approx(whole.alerts)
