from random import Random

from agent.calibration import filmed
from ingest.simulation.questions import QuestionType, ask
from ingest.simulation.split import CALIBRATION
from ingest.simulation.visit import Colour, Kind, Side, Visit, Waypoint
from ingest.simulation.world import World

CHUNKS = 16


def test_the_chunks_of_a_question_show_whom_it_is_about() -> None:
    asked = 0
    for stream in range(3):
        frames = list(filmed.film(stream, CHUNKS))
        start_s, end_s = frames[0].start_s, frames[-1].end_s
        world = World(CALIBRATION[stream])
        by_plate = {v.plate: v for v in world.visits(start_s, end_s)}
        for probe in filmed.make_probes(stream, CHUNKS):
            assert probe.holders
            if "#" not in probe.text:
                continue
            visit = by_plate[int(probe.text.partition("#")[2][:2])]
            asked += 1
            for number in probe.holders:
                chunk = frames[number]
                assert visit.enter_s < chunk.end_s
                assert visit.leave_s > chunk.start_s
    assert asked > 20


def test_a_stream_is_the_same_every_time_and_no_other() -> None:
    assert filmed.make_probes(0, CHUNKS) == filmed.make_probes(0, CHUNKS)
    assert filmed.make_probes(0, CHUNKS) != filmed.make_probes(1, CHUNKS)


def test_the_side_is_where_it_came_in_and_where_it_left() -> None:
    """The chunks are those that the benchmark counts as right."""
    path = (Waypoint(1003, -16, 20), Waypoint(1017, 64, 20))  # in full view from 1006
    visit = Visit(Kind.CAR, Colour.RED, 47, Side.LEFT, Side.RIGHT, path)
    holders = {}
    for type in filmed.ASKED:
        question = ask([visit], [(1000, 1020)], type, Random(0))
        assert question is not None
        holders[type] = filmed._holders(question, 1000.0, 5)
    assert holders[QuestionType.SIDE] == (0, 1, 2)
    assert holders[QuestionType.LEFT_TO] == (3, 4)
    assert holders[QuestionType.COLOUR] == (1, 2, 3, 4)
