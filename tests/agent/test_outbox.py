import asyncio
import time

from agent.outbox import Letter, Outbox


def letter(topic: str, payload: bytes = b"", *, left_s: float = 60.0) -> Letter:
    return Letter(topic, payload, time.monotonic() + left_s)


async def test_letters_leave_in_order_and_only_when_removed() -> None:
    outbox = Outbox(8)
    first, second = letter("a"), letter("b")
    outbox.put(first)
    outbox.put(second)
    assert await outbox.first() is first
    assert await outbox.first() is first
    outbox.remove(first)
    assert await outbox.first() is second


async def test_full_outbox_drops_the_oldest_and_counts_it() -> None:
    outbox = Outbox(2)
    for topic in "abc":
        outbox.put(letter(topic))
    assert (await outbox.first()).topic == "b"
    assert (len(outbox), outbox.num_dropped) == (2, 1)


async def test_expired_letter_is_dropped_and_counted() -> None:
    outbox = Outbox(2)
    outbox.put(letter("late", left_s=-1.0))
    outbox.put(letter("alive"))
    assert (await outbox.first()).topic == "alive"
    assert outbox.num_dropped == 1


async def test_retained_letter_replaces_the_older_one_of_its_topic() -> None:
    outbox = Outbox(8)
    for topic, payload in (("s", b"1"), ("t", b"1"), ("s", b"2")):
        outbox.put(Letter(topic, payload, float("inf"), retain=True))
    assert len(outbox) == 2
    outbox.remove(await outbox.first())
    assert await outbox.first() == Letter("s", b"2", float("inf"), retain=True)


async def test_reader_waits_for_a_letter_and_drained_for_none() -> None:
    outbox = Outbox(8)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        reading = group.create_task(outbox.first())
        await asyncio.sleep(0)
        assert not reading.done()
        sent = letter("a")
        outbox.put(sent)
        assert await reading is sent
        draining = group.create_task(outbox.drained())
        await asyncio.sleep(0)
        assert not draining.done()
        outbox.remove(sent)
