import torch
from hypothesis import given
from hypothesis import strategies as st
from kv_factory import PlainRotary, make_kv

from memory.kv import KV
from memory.rehydration import compose, place
from memory.rope import rotate, unrotate


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=9))
def test_unrotate_gives_back_what_rotate_was_given(times: list[int]) -> None:
    keys = torch.randn(2, len(times), 8)
    positions = torch.tensor(times).float().expand(3, -1)
    cos, sin = PlainRotary().cos_sin(positions)
    turned = rotate(keys, cos, sin)
    torch.testing.assert_close(unrotate(turned, cos, sin, 1.0), keys)


def test_unrotate_takes_the_scaling_off_too() -> None:
    keys = torch.randn(1, 3, 8)
    cos, sin = PlainRotary().cos_sin(torch.arange(3.0).expand(3, -1))
    turned = rotate(keys, cos * 1.3, sin * 1.3)
    torch.testing.assert_close(unrotate(turned, cos * 1.3, sin * 1.3, 1.3), keys)


def test_bfloat16_keys_are_rotated_in_float32() -> None:
    keys = torch.randn(2, 50, 8).bfloat16()
    cos, sin = PlainRotary().cos_sin(1000 + torch.arange(50.0).expand(3, -1))
    exact = (keys.double() * cos) + torch.cat(
        (-keys.double()[..., 4:], keys.double()[..., :4]), dim=-1
    ) * sin
    assert torch.equal(rotate(keys, cos, sin), exact.float().bfloat16())


def test_composition_equals_concatenation_by_hand() -> None:
    runs = [make_kv(5, seed=1), make_kv(3, seed=2), make_kv(4, seed=3)]
    cache = compose(runs, PlainRotary(), room=7)
    keys = torch.cat([run.keys for run in runs], dim=2)
    values = torch.cat([run.values for run in runs], dim=2)
    cos, sin = PlainRotary().cos_sin(torch.arange(12.0).expand(3, -1))
    assert cache.num_tokens == cache.next_position == 12
    assert cache.keys.shape[2] == 12 + 7
    torch.testing.assert_close(cache.keys[:, :, :12], rotate(keys, cos, sin))
    assert torch.equal(cache.values[:, :, :12], values)


def test_a_compressed_run_closes_up_and_keeps_rows_and_columns() -> None:
    whole = make_kv(3)
    positions = torch.tensor([[0.0, 8, 16], [0, 9, 18], [0, 10, 17]])
    run = KV(whole.keys, whole.values, positions.expand(3, 3, -1), span=24)
    placed = place([make_kv(100), run])[:, :, 100:]
    assert placed[0, 0].tolist() == [100, 101, 102]
    assert (placed[0, 1] - placed[0, 0]).tolist() == [0, 1, 2]
    assert (placed[0, 2] - placed[0, 0]).tolist() == [0, 2, 1]
    after = compose([run, make_kv(2)], PlainRotary(), room=0)
    assert after.next_position == 5


def test_composition_leaves_the_runs_alone() -> None:
    run = make_kv(4)
    before = run.keys.clone()
    cache = compose([run], PlainRotary(), room=2)
    cache.keys.zero_()
    assert torch.equal(run.keys, before)
