from kv_factory import make_kv, make_memory

from memory.compression.bilevel import CompressedChunk
from memory.resident import ResidentMemory


def compressed(number: int, camera: str = "door") -> CompressedChunk:
    return CompressedChunk(make_memory(number, camera=camera), make_kv(8), 64, 0)


def test_the_budget_holds_and_the_oldest_leave_first() -> None:
    resident = ResidentMemory(budget_tokens=12, newest=1)
    for number in range(6):
        resident.retain(compressed(number, "door" if number % 2 else "yard"))
    assert resident.num_tokens == 12
    assert resident.num_evicted == 3
    left = [memory.id.start_ms for memory in resident.nodes(["door", "yard"])]
    assert sorted(left) == [3000, 4000, 5000]


def test_rebuilt_chunks_take_their_place_in_time_once() -> None:
    resident = ResidentMemory(budget_tokens=100, newest=1)
    for number in (5, 3, 4, 3):
        resident.insert(make_memory(number).node)
    starts = [memory.id.start_ms for memory in resident.nodes(["door"])]
    assert starts == [3000, 4000, 5000]
    assert resident.num_tokens == 12


def test_only_the_newest_keep_their_low_kv() -> None:
    resident = ResidentMemory(budget_tokens=100, newest=2)
    chunks = [compressed(number) for number in range(3)]
    for chunk in chunks:
        resident.retain(chunk)
    assert resident.low(chunks[0].memory.id) is None
    assert resident.low(chunks[2].memory.id) is chunks[2].low


def test_a_window_takes_what_overlaps_it() -> None:
    resident = ResidentMemory(budget_tokens=100, newest=1)
    for number in range(4):
        resident.insert(make_memory(number).node)
    inside = resident.nodes(["door"], 1500, 3000)
    assert [memory.id.start_ms for memory in inside] == [1000, 2000]


def test_forgetting_frees_tokens() -> None:
    resident = ResidentMemory(budget_tokens=100, newest=4)
    for number in range(4):
        resident.retain(compressed(number))
    resident.forget("door", 2000)
    assert [m.id.start_ms for m in resident.nodes(["door"])] == [2000, 3000]
    assert resident.num_tokens == 8
    assert resident.low(make_memory(0).id) is None
