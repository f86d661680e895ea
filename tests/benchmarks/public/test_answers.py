import pytest

from benchmarks.public.answers import choose, count, yes_or_no

OPTIONS = ("A red bus", "Blue.", "a person", "Dogs and cats")


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("B", "B"),
        (" B \n", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("(B).", "B"),
        ("B. Blue", "B"),
        ("B: blue", "B"),
        ("(D) dogs and  cats.", "D"),
        ("B. It is the only one that flies", "B"),
        ("The answer is B", "B"),
        ("the correct answer is: (D)", "D"),
        ("Answer: C.", "C"),
        ("Best option: (A)", "A"),
        ("blue", "B"),
        ("A red bus", "A"),
        ("a red bus.", "A"),
        ("The answer is a person", "C"),
    ],
)
def test_an_option_is_read_by_letter_or_by_its_words(said: str, letter: str) -> None:
    assert choose(said, OPTIONS) == letter


@pytest.mark.parametrize(
    "said",
    [
        "",
        "E",  # there are four options
        "(E) Blue",
        "b",
        "A or B",
        "AB",
        "A B",
        "A person walks",  # an article, not a letter
        "I think it may be B",
        "Both A and D.",
        "B. A red bus",  # the words of another option
        "bus",
        "None of them",
        "Blue or a person",
    ],
)
def test_what_names_no_option_is_no_answer(said: str) -> None:
    assert choose(said, OPTIONS) is None


def test_words_that_two_options_share_are_no_answer() -> None:
    assert choose("red", ("red", "Red.", "blue")) is None
    assert choose("B", ("red", "Red.", "blue")) == "B"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Yes", True),
        ("yes.", True),
        ("Y", True),
        ("No, not yet.", False),
        ("N", False),
        ("Yes and no", None),
        ("Not sure", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_yes_and_no_are_words_of_their_own(said: str, meant: bool | None) -> None:
    assert yes_or_no(said) is meant


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("3", 3),
        ("3 times.", 3),
        ("10", 10),
        ("2 or 3", 23),
        ("three", None),
        ("", None),
    ],
)
def test_a_count_is_all_digits_said(said: str, number: int | None) -> None:
    assert count(said) == number
