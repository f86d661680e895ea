from agent.calibration.written import write_log

CHUNKS = 64


def test_only_the_right_chunk_holds_what_is_asked_about() -> None:
    log = write_log(0, CHUNKS)
    assert len(log.chunks) == CHUNKS
    pairs = 0
    for probe in log.probes:
        [right] = probe.holders
        if "plate" in probe.text:
            plate = next(w for w in probe.text.split() if w.strip("?")[-3:].isdigit())
            holding = [n for n, c in enumerate(log.chunks) if plate.strip("?") in c]
        else:
            person, thing = _pair(probe.text)
            told = f"{person} with a {thing},"
            holding = [n for n, c in enumerate(log.chunks) if told in c]
            for word in (person, thing):  # either alone does not say where to look
                assert sum(word in chunk for chunk in log.chunks) > 1
            pairs += 1
        assert holding == [right]
    assert pairs == 8
    assert len(log.probes) == 24


def _pair(question: str) -> tuple[str, str]:
    before, _, after = question.partition(" with the ")
    return before.split()[-1], after.split()[0].strip("?")


def test_a_log_is_the_same_every_time_and_no_other() -> None:
    assert write_log(3, CHUNKS) == write_log(3, CHUNKS)
    assert write_log(3, CHUNKS) != write_log(4, CHUNKS)
