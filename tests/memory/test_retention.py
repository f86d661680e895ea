"""What goes when the archive holds too much, against the slow and obvious way."""

import pytest
from archived import MODEL, chunk_at, node_at
from hypothesis import given
from hypothesis import strategies as st

from memory.kv import ChunkId, Tier
from memory.retention import Booked, Freed, Limits, plan_retirement


def booked(
    second: int,
    high: int = 10,
    low: int = 100,
    camera: str = "door",
    model: str = MODEL,
) -> Booked:
    chunk = chunk_at(second, camera)
    return Booked(chunk.end_ms, chunk, model, high, low)


def seconds(chosen: tuple[Booked, ...]) -> list[int]:
    return [each.chunk.start_ms // 1000 for each in chosen]


def test_nothing_goes_without_a_bound_or_within_it() -> None:
    held = [booked(second) for second in range(3)]
    for limits in (Limits(), Limits(total=330, per_camera=330)):
        assert plan_retirement(held, limits).freed == Freed()


@pytest.mark.parametrize(
    ("total", "lows", "chunks"),
    [
        (329, [0], []),
        (230, [0], []),
        (229, [0, 1], []),
        (30, [0, 1, 2], []),
        (29, [1, 2], [0]),
        (0, [], [0, 1, 2]),
    ],
)
def test_the_oldest_low_kv_goes_first_and_chunks_only_then(
    total: int, lows: list[int], chunks: list[int]
) -> None:
    held = [booked(second) for second in (2, 0, 1)]
    plan = plan_retirement(held, Limits(total=total))
    assert (seconds(plan.lows), seconds(plan.chunks)) == (lows, chunks)


def test_each_camera_is_bounded_and_then_all_together() -> None:
    held = [booked(s, camera=c) for s in range(3) for c in ("door", "yard")]
    held.append(booked(7, camera="gate"))
    plan = plan_retirement(held, Limits(per_camera=230, total=300))
    lows = [(each.chunk.camera, each.chunk.start_ms // 1000) for each in plan.lows]
    assert lows == [
        *[("door", 0), ("yard", 0)],  # each camera's own bound
        *[("door", 1), ("yard", 1), ("door", 2)],  # that of all
    ]
    assert plan.chunks == ()


def test_what_is_too_old_goes_whole_whatever_the_bytes() -> None:
    held = [booked(second) for second in range(4)]
    plan = plan_retirement(held, Limits(before_ms=2000, total=200))
    assert (seconds(plan.lows), seconds(plan.chunks)) == ([2], [0, 1])
    assert plan.freed == Freed(1, 2, 320)


def test_limits_hold_up_to_the_last_byte() -> None:
    limits = Limits(total=100, per_camera=60)
    assert limits.hold([])
    assert limits.hold([60, 40])
    assert not limits.hold([61])
    assert not limits.hold([60, 41])
    assert Limits().hold([1 << 50])
    assert limits.tightened() == Limits(total=98, per_camera=59)
    assert Limits().tightened() == Limits()


def test_chunks_of_two_models_are_told_apart() -> None:
    held = [booked(0), booked(0, model="other"), booked(1)]
    plan = plan_retirement(held, Limits(total=300))
    assert [(each.model, each.low_bytes) for each in plan.lows] == [(MODEL, 100)]


def test_the_book_counts_index_keys_with_the_h_kv() -> None:
    chunk, node = chunk_at(0), node_at(0)
    sizes = {
        f"h:{chunk.name}": b"10",
        f"l:{chunk.name}": b"100",
        f"k:{chunk.name}": b"3",
        f"h:{node.name}": b"20",
    }
    read = Booked.read("door", MODEL, {f.encode(): n for f, n in sizes.items()})
    assert read == [
        Booked(chunk.end_ms, chunk, MODEL, 13, 100),
        Booked(node.end_ms, node, MODEL, 20, 0),
    ]


def test_nodes_go_like_chunks_that_have_no_low_kv_but_are_not_counted_as_such() -> None:
    node = node_at(0, length_s=2)
    held = [booked(second) for second in range(3)]
    held.append(Booked(node.end_ms, node, MODEL, 20, 0))
    plan = plan_retirement(held, Limits(total=50))
    assert (seconds(plan.lows), plan.chunks) == ([0, 1, 2], ())
    plan = plan_retirement(held, Limits(total=35))
    assert [b.chunk for b in plan.chunks] == [chunk_at(0), node]
    assert plan.freed == Freed(num_lows=2, num_chunks=1, num_bytes=330)
    plan = plan_retirement(held, Limits(before_ms=2000))
    assert {b.chunk for b in plan.chunks} == {chunk_at(0), chunk_at(1), node}
    assert plan.freed == Freed(num_chunks=2, num_bytes=240)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(["door", "yard"]),
            st.integers(1, 20),
            st.integers(0, 50),
        ),
        unique_by=lambda each: each[:2],
    ),
    st.none() | st.integers(0, 300),
    st.none() | st.integers(0, 500),
)
def test_what_is_left_fits_and_nothing_went_too_early(
    chunks: list[tuple[int, str, int, int]], per_camera: int | None, total: int | None
) -> None:
    held = [booked(s, high, low, camera) for s, camera, high, low in chunks]
    plan = plan_retirement(held, Limits(per_camera=per_camera, total=total))
    left = {b.chunk: b.num_bytes for b in held}
    for each in plan.lows:
        left[each.chunk] -= each.low_bytes
    for each in plan.chunks:
        del left[each.chunk]
    assert sum(left.values()) == sum(b.num_bytes for b in held) - plan.freed.num_bytes
    assert total is None or sum(left.values()) <= total
    for camera in ("door", "yard"):
        own = sum(size for chunk, size in left.items() if chunk.camera == camera)
        assert per_camera is None or own <= per_camera
        lows = [b for b in held if b.chunk.camera == camera and b.low_bytes]
        gone = {*plan.lows, *plan.chunks}
        is_gone = [b in gone for b in sorted(lows)]
        assert is_gone == sorted(is_gone, reverse=True)


def test_a_node_that_has_anything_from_before_goes_and_its_later_chunks_stay() -> None:
    minute = ChunkId("door", 0, 60_000, Tier.MINUTE)
    node = Booked(minute.end_ms, minute, "m", 5, 0)
    chunk = ChunkId("door", 30_000, 40_000)
    later = Booked(chunk.end_ms, chunk, "m", 5, 50)
    plan = plan_retirement([node, later], Limits(before_ms=20_000))
    assert plan.chunks == (node,)
    assert plan.freed.num_chunks == 0
    assert plan_retirement([node, later], Limits(before_ms=0)).chunks == ()
