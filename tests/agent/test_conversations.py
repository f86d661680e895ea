from agent.conversations import MAX_TURNS, Conversations


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_last_turns_are_remembered_in_their_order():
    talks = Conversations()
    for number in range(MAX_TURNS + 2):
        talks.add("c", f"q{number}", f"a{number}")
    turns = [(f"q{n}", f"a{n}") for n in range(2, MAX_TURNS + 2)]
    assert talks.turns("c") == tuple(turns)
    assert talks.turns("another") == ()


def test_without_a_name_there_is_no_conversation():
    talks = Conversations()
    talks.add(None, "q", "a")
    assert talks.turns(None) == ()


def test_one_that_was_silent_for_an_hour_begins_anew():
    clock = Clock()
    talks = Conversations(clock)
    talks.add("c", "q", "a")
    clock.now_s = 3599.0
    assert talks.turns("c") == (("q", "a"),)
    clock.now_s = 3601.0
    assert talks.turns("c") == ()
    talks.add("c", "q2", "a2")
    assert talks.turns("c") == (("q2", "a2"),)


def test_their_number_is_bounded_and_the_silent_ones_go_first():
    talks = Conversations()
    talks.add("old", "q", "a")
    talks.add("kept", "q", "a")
    for number in range(255):
        talks.add(str(number), "q", "a")
        talks.add("kept", "q", "a")
    assert talks.turns("old") == ()
    assert len(talks.turns("kept")) == MAX_TURNS
