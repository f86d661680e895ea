import pytest

from ingest.errors import AddressError
from ingest.simulation.address import SimulatedAddress, parse_simulated


def test_an_address_without_options_has_the_usual_ones():
    assert parse_simulated("simulated:") == SimulatedAddress()
    assert parse_simulated("simulated:?") == SimulatedAddress()


def test_all_options_are_read():
    text = (
        "simulated:?seed=7&pace=0.1&size=64&fps=2.5&backlog_s=60&speed=8&duration_s=90"
    )
    assert parse_simulated(text) == SimulatedAddress(
        seed=7, pace=0.1, size=64, fps=2.5, backlog_s=60, speed=8, duration_s=90
    )


def test_any_whole_number_is_a_seed():
    assert parse_simulated("simulated:?seed=-1").seed == -1
    assert parse_simulated(f"simulated:?seed={10**30}").seed == 10**30


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sed=7", "'sed' is unknown"),
        ("seed=seven", "seed must be a whole number"),
        ("seed=1.5", "seed must be a whole number"),
        ("seed=", "seed must be a whole number"),
        ("pace=0", "pace must be above 0"),
        ("pace=2", "pace must be above 0, up to 1"),
        ("seed=1&seed=2", "seed is given twice"),
        ("size=8", "size must be 16 to 4096"),
        ("fps=0", "fps must be above 0"),
        ("fps=nan", "fps must be above 0"),
        ("speed=0.5", "speed must be 1 or more"),
        ("speed=inf", "speed must be 1 or more"),
        ("backlog_s=-1", "backlog_s must be 0 or more"),
        ("duration_s=0", "duration_s must be above 0"),
    ],
)
def test_a_wrong_option_is_named(query: str, named: str):
    with pytest.raises(AddressError, match=named):
        parse_simulated(f"simulated:?{query}")
