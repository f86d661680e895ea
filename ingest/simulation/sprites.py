"""How the visitors of a simulated camera look: silhouettes, colours, number plates.

In a silhouette `#` is the body in its colour, `w` a window, `o` a dark part; all face
right. A plate is a white panel of 9 x 7 units with two digits of 3 x 5.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.simulation.visit import SPRITE_HEIGHT, SPRITE_WIDTH, Colour, Kind

PALETTE: dict[Colour, tuple[int, int, int]] = {
    Colour.RED: (210, 30, 35),
    Colour.GREEN: (30, 160, 50),
    Colour.BLUE: (35, 70, 220),
    Colour.YELLOW: (238, 215, 40),
    Colour.WHITE: (238, 238, 238),
    Colour.BLACK: (24, 24, 24),
    Colour.ORANGE: (240, 130, 20),
    Colour.PURPLE: (150, 45, 185),
}
_WINDOW = (165, 205, 225)
_DARK = (52, 48, 46)
_PANEL = (240, 240, 240)
_INK = (16, 16, 16)

_ART: dict[Kind, str] = {
    Kind.CAR: """
................
....#######.....
...#www#www#....
..#wwww#wwww#...
.##############.
################
################
################
################
################
.#ooo######ooo#.
..ooo......ooo..""",
    Kind.TRUCK: """
###########.....
###########.....
###########.###.
###########.#ww.
###########.#ww#
###########.####
###########.####
###########.####
###########.####
oooooooooooooooo
.ooo..ooo..ooo..
.ooo..ooo..ooo..""",
    Kind.BUS: """
################
#ww#ww#ww#ww#ww#
#ww#ww#ww#ww#ww#
################
################
################
################
################
################
################
##oo########oo##
..oo........oo..""",
    Kind.VAN: """
.#########......
.##########.....
.#######www#....
.#######wwww#...
.############...
.##############.
.###############
.###############
.###############
.###############
..ooo######ooo..
..ooo......ooo..""",
    Kind.BICYCLE: """
..........##....
...##.....#.....
....#######.....
....##...###....
...#.#...#.#....
.####.#.#.####..
##..##.#.##..##.
#....##.##....#.
#....#...#....#.
##..##...##..##.
.####.....####..
................""",
    Kind.PERSON: """
.......##.......
......####......
......####......
.......##.......
...##########...
..############..
.##.########.##.
.#..########..#.
....########....
....###..###....
....##....##....
...###....###...""",
    Kind.DOG: """
...........##...
#..........#####
##.........##o##
.#.........#####
.#############..
..############..
..############..
..############..
..############..
..##.##..##.##..
..#...#..#...#..
..#...#..#...#..""",
    Kind.CART: """
..............##
.............###
............##..
#############...
#############...
.#o##o##o###....
.#o##o##o###....
.#o##o##o###....
.#o##o##o###....
.###########....
..##########....
..ooo....ooo....""",
}
_PLATE_AT: dict[Kind, tuple[int, int]] = {  # row, column of the panel
    Kind.CAR: (4, 4),
    Kind.TRUCK: (1, 1),
    Kind.BUS: (3, 4),
    Kind.VAN: (4, 2),
    Kind.BICYCLE: (4, 3),
    Kind.PERSON: (4, 3),
    Kind.DOG: (3, 2),
    Kind.CART: (4, 2),
}
_DIGITS = (
    "###/#.#/#.#/#.#/###",
    ".#./##./.#./.#./###",
    "###/..#/###/#../###",
    "###/..#/.##/..#/###",
    "#.#/#.#/###/..#/..#",
    "###/#../###/..#/###",
    "###/#../###/#.#/###",
    "###/..#/..#/.#./.#.",
    "###/#.#/###/#.#/###",
    "###/#.#/###/..#/###",
)


@lru_cache(maxsize=4096)
def draw_sprite(
    kind: Kind, colour: Colour, plate: int | None, *, faces_left: bool
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw a visitor; the plate reads from left to right whichever way it faces.

    Returns:
        Its pixels, (12, 16, 3), and which of them cover what is behind, (12, 16).
    """
    shapes = np.array([list(row) for row in _ART[kind].split()])  # (12, 16)
    if shapes.shape != (SPRITE_HEIGHT, SPRITE_WIDTH):
        raise AssertionError(f"the {kind} is drawn {shapes.shape}")
    if faces_left:
        shapes = shapes[:, ::-1]
    pixels = np.zeros((*shapes.shape, 3), np.uint8)
    for shape, paint in (("#", PALETTE[colour]), ("w", _WINDOW), ("o", _DARK)):
        pixels[shapes == shape] = paint
    covers = shapes != "."
    if plate is not None:
        panel = draw_plate(plate)
        row, column = _PLATE_AT[kind]
        if faces_left:
            column = SPRITE_WIDTH - column - panel.shape[1]
        area = np.s_[row : row + panel.shape[0], column : column + panel.shape[1]]
        pixels[area], covers[area] = panel, True
    pixels.flags.writeable = covers.flags.writeable = False  # shared by the cache
    return pixels, covers


def draw_plate(plate: int) -> NDArray[np.uint8]:
    """Draw a number plate: black digits on a white panel, (7, 9, 3)."""
    panel = np.full((7, 9, 3), _PANEL, np.uint8)
    for place, digit in enumerate(divmod(plate, 10)):
        ink = np.array([list(row) for row in _DIGITS[digit].split("/")]) == "#"
        panel[1:6, 1 + 4 * place : 4 + 4 * place][ink] = _INK
    return panel
