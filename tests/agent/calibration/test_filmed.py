from agent.calibration import filmed
from ingest.simulation.world import World

CHUNKS = 16


def test_the_chunks_of_a_question_show_whom_it_is_about() -> None:
    asked = 0
    for stream in range(3):
        frames = list(filmed.film(stream, CHUNKS))
        start_s, end_s = frames[0].start_s, frames[-1].end_s
        world = World(filmed._FIRST_WORLD + stream)
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
