"""Calibration without pictures: a made-up camera log, and questions about its lines.

A chunk is a few sentences. One names a vehicle by its plate, one a person by two words
that also stand apart elsewhere in the log, and the rest says nothing that is asked for.
"""

import random
from dataclasses import dataclass

from agent.calibration.probe import Probe

COLOURS = (
    "red",
    "green",
    "blue",
    "yellow",
    "white",
    "black",
    "grey",
    "brown",
    "orange",
    "purple",
)
VEHICLES = (
    "car",
    "van",
    "truck",
    "taxi",
    "bus",
    "pickup",
    "tractor",
    "motorbike",
)
PLACES = (
    "the harbour",
    "the north gate",
    "the car park",
    "the bridge",
    "the market",
    "the station",
    "the school",
    "the ring road",
)
_PEOPLE = (
    "nurse",
    "painter",
    "guard",
    "courier",
    "gardener",
    "student",
    "waiter",
    "cleaner",
    "tourist",
    "baker",
    "plumber",
    "priest",
)
_THINGS = (
    "ladder",
    "suitcase",
    "umbrella",
    "guitar",
    "bucket",
    "camera",
    "basket",
    "helmet",
    "lantern",
    "broom",
    "parcel",
    "trolley",
)
_FILLERS = (
    "The street lamps flickered and went on again.",
    "Leaves were blown along the kerb by the wind.",
    "A cat crossed the yard and sat down by the wall.",
    "Nothing moved for a while.",
    "The shutter of the shop was half open.",
    "It had begun to rain, and the pavement shone.",
    "Two pigeons walked about near the drain.",
    "A door fell shut somewhere behind the fence.",
    "The shadow of the building reached the far side.",
    "Steam rose from the cover of a manhole.",
    "A flag on the roof hung still.",
    "The picture was grainy for some seconds.",
)
_ABOUT_PLATES = (
    "From where did the vehicle with plate {plate} come?",
    "What colour was the vehicle with plate {plate}?",
    "What kind of vehicle had plate {plate}?",
)
_ABOUT_PAIRS = (
    "What colour was the coat of the {person} with the {thing}?",
    "Where was the {person} with the {thing} going?",
)
_FROM_MINUTE = 420  # of the day, a chunk a minute
_PLATES, _PAIRS = 16, 8  # questions of each kind about one log


@dataclass(frozen=True, slots=True)
class Log:
    """A made-up camera log.

    Attributes:
        chunks: Its text, chunk by chunk.
        probes: Questions about it.
    """

    chunks: tuple[str, ...]
    probes: tuple[Probe, ...]


def write_log(stream: int, chunks: int) -> Log:
    """Write a log of so many chunks, the same one for the same number.

    Raises:
        ValueError: More chunks than there are pairs of a person and a thing.
    """
    dealer = random.Random(stream)
    plates = _deal_plates(dealer, chunks)
    every = [(person, thing) for person in _PEOPLE for thing in _THINGS]
    pairs = dealer.sample(every, chunks)
    texts = [
        _write_chunk(dealer, number, plates[number], pairs[number])
        for number in range(chunks)
    ]
    probes = [
        Probe(dealer.choice(_ABOUT_PLATES).format(plate=plates[number]), (number,))
        for number in dealer.sample(range(chunks), min(_PLATES, chunks))
    ]
    for number in dealer.sample(range(chunks), min(_PAIRS, chunks)):
        person, thing = pairs[number]
        text = dealer.choice(_ABOUT_PAIRS).format(person=person, thing=thing)
        probes.append(Probe(text, (number,)))
    return Log(tuple(texts), tuple(probes))


def _deal_plates(dealer: random.Random, count: int) -> list[str]:
    letters = "ABCDEFGHJKLMNPRSTVWXYZ"
    plates: dict[str, None] = {}
    while len(plates) < count:
        prefix = dealer.choice(letters) + dealer.choice(letters)
        plates[f"{prefix}{dealer.randrange(100, 1000)}"] = None
    return list(plates)


def _write_chunk(
    dealer: random.Random, number: int, plate: str, pair: tuple[str, str]
) -> str:
    minutes = _FROM_MINUTE + number
    person, thing = pair
    colour, coat = dealer.choice(COLOURS), dealer.choice(COLOURS)
    vehicle, place = dealer.choice(VEHICLES), dealer.choice(PLACES)
    goal = dealer.choice(PLACES)
    told = [
        f"A {colour} {vehicle} with plate {plate} came from {place}.",
        f"A {person} with a {thing}, in a {coat} coat, was going to {goal}.",
        *dealer.sample(_FILLERS, 3),
    ]
    dealer.shuffle(told)
    return f"[{minutes // 60:02d}:{minutes % 60:02d}] {' '.join(told)}\n"
