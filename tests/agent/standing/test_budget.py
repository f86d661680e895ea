import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.standing.budget import Budget

STEPS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)), max_size=60)


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_spent_is_earned_again_by_and_by() -> None:
    clock = Clock()
    budget = Budget(0.1, burst_s=2.0, clock=clock)
    budget.spend(3.0)
    assert budget.is_spent
    clock.now_s += 10.0
    assert budget.is_spent
    clock.now_s += 0.1
    assert not budget.is_spent
    assert budget.spent_s == 3.0


def test_no_more_is_saved_up_than_the_burst() -> None:
    clock = Clock()
    budget = Budget(0.5, burst_s=2.0, clock=clock)
    clock.now_s += 1e6
    assert budget.balance_s == 2.0


@given(st.floats(0.001, 1), st.floats(0.01, 10), STEPS)
def test_the_share_is_kept_whatever_jobs_come(
    share: float, burst_s: float, steps: list[tuple[float, float]]
) -> None:
    clock = Clock()
    budget = Budget(share, burst_s, clock)
    dearest_s = 0.0
    for passes_s, costs_s in steps:
        clock.now_s += passes_s
        if not budget.is_spent:
            budget.spend(costs_s)
            dearest_s = max(dearest_s, costs_s)
    earned_s = burst_s + share * (clock.now_s - 1000.0)
    assert budget.spent_s <= earned_s + dearest_s + 1e-6


@pytest.mark.parametrize(("share", "burst_s"), [(0, 1), (1.5, 1), (0.1, 0)])
def test_a_budget_of_nothing_is_refused(share: float, burst_s: float) -> None:
    with pytest.raises(ValueError, match="not"):
        Budget(share, burst_s)
