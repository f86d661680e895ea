"""Footage to learn from: worlds rendered once, as patches that the vision tower reads.

Goes through the product's own `patchify`, from pictures of several sizes, so that what
the model learns on is what it will be shown.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from agent.vlm.builtin import PATCHES
from agent.vlm.preprocessing import patchify
from ingest.simulation.renderer import render
from ingest.simulation.world import World
from training.labels import PAIR_S, label_pair
from training.split import Split, start_of

PAIRS_PER_CHUNK = 4
CHUNK_S = 2 * PAIR_S * PAIRS_PER_CHUNK
SIZES = (256, 128, 256, 64, 128)  # of the pictures, by world in turn
PATCH_VALUES = 3 * PATCHES.temporal_patch * PATCHES.patch**2
PATCHES_PER_PAIR = 64


@dataclass(frozen=True, slots=True)
class Footage:
    """Worlds of one part, each looked at for as many chunks without a break.

    Attributes:
        worlds: Their seeds.
        chunks: How many of each.
        patches: (worlds, pairs, 64, values), uint8: what `patchify` gives, in 0..255.
        labels: (worlds, pairs, 16, attributes), int8.
    """

    worlds: list[int]
    chunks: int
    patches: NDArray[np.uint8]
    labels: NDArray[np.int8]


def make_footage(folder: Path, split: Split, worlds: int, chunks: int) -> Footage:
    """Render footage into a folder, or give back what lies there already."""
    seeds = [split.world(number) for number in range(worlds)]
    make = partial(look, pairs=chunks * PAIRS_PER_CHUNK)
    stem = folder / f"{split.name.lower()}-{worlds}x{chunks}"
    patches, labels = render_all(stem, make, seeds)
    return Footage(seeds, chunks, patches, labels)


def render_all(
    stem: Path,
    make: Callable[[int], tuple[NDArray[np.uint8], NDArray[np.int8]]],
    seeds: Sequence[int],
) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Give patches and labels of all seeds, from files if they are there already."""
    paths = [
        stem.with_name(f"{stem.name}-{part}.npy") for part in ("patches", "labels")
    ]
    if not all(path.exists() for path in paths):
        stem.parent.mkdir(parents=True, exist_ok=True)
        _render(paths, make, seeds)
    patches, labels = (np.load(path, mmap_mode="r") for path in paths)
    return patches, labels


def _render(
    paths: list[Path],
    make: Callable[[int], tuple[NDArray[np.uint8], NDArray[np.int8]]],
    seeds: Sequence[int],
) -> None:
    unfinished = [path.with_suffix(".part") for path in paths]
    stores: list[NDArray[np.uint8] | NDArray[np.int8]] = []
    spawn = get_context("spawn")  # a fork would inherit torch's threads, and hang
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        made = pool.map(make, seeds, chunksize=4)
        shown = track(made, f"rendering {paths[0].stem}", total=len(seeds))
        for number, parts in enumerate(shown):
            if not stores:
                shapes = [(len(seeds), *part.shape) for part in parts]
                stores = [
                    np.lib.format.open_memmap(path, "w+", part.dtype, shape)
                    for path, part, shape in zip(unfinished, parts, shapes, strict=True)
                ]
            for store, part in zip(stores, parts, strict=True):
                store[number] = part
    for part, path in zip(unfinished, paths, strict=True):
        part.rename(path)


def look(seed: int, pairs: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Render one world: patches (pairs, 64, values) and labels (pairs, 16, A)."""
    world, start_s = World(seed), start_of(seed)
    size = SIZES[seed % len(SIZES)]
    times = start_s + PAIR_S * np.arange(2 * pairs)
    frames = np.stack([render(world, float(t), size) for t in times])
    return pack(frames), tell(seed, pairs)


def pack(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut frames into patches, (pairs, 64, values), in 0..255."""
    floats, _ = patchify(frames, PATCHES)
    bytes_ = ((floats.numpy() * 0.5 + 0.5) * 255).round().astype(np.uint8)
    return bytes_.reshape(-1, PATCHES_PER_PAIR, PATCH_VALUES)


def tell(seed: int, pairs: int) -> NDArray[np.int8]:
    """Label one world, (pairs, 16, A)."""
    world, start_s = World(seed), start_of(seed)
    times = start_s + 2 * PAIR_S * np.arange(pairs)
    return np.stack(
        [label_pair(world.visits(t, t + PAIR_S + 1e-3), t) for t in times.tolist()]
    )
