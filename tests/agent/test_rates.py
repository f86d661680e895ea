from agent.rates import Rates


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_each_asker_may_ask_so_often_a_minute():
    clock = Clock()
    rates = Rates(3, clock)
    assert [rates.allows("a") for _ in range(4)] == [True, True, True, False]
    assert rates.allows("b")
    clock.now_s = 19.0
    assert not rates.allows("a")
    clock.now_s = 21.0
    assert [rates.allows("a") for _ in range(2)] == [True, False]


def test_nobody_saves_up_more_than_a_minute():
    clock = Clock()
    rates = Rates(2, clock)
    assert rates.allows("a")
    clock.now_s = 3600.0
    assert [rates.allows("a") for _ in range(3)] == [True, True, False]


def test_without_a_limit_everybody_may():
    rates = Rates(None)
    assert all(rates.allows("a") for _ in range(10_000))


def test_the_askers_that_are_remembered_are_bounded():
    clock = Clock()
    rates = Rates(1, clock)
    for number in range(3000):
        assert rates.allows(str(number))
    assert len(rates._buckets) == 1024
    assert not rates.allows("2999")
