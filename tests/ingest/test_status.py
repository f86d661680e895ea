import numpy as np
import pytest

from ingest.clock import utc_now
from ingest.errors import CameraOpenError
from ingest.frame import FrameChunk
from ingest.status import CameraRecord, CameraState, Gap, GapReason


def chunk(start_s: float, num_frames: int = 8) -> FrameChunk:
    times_s = start_s + np.arange(num_frames, dtype=np.float64)
    pixels = np.zeros((num_frames, 2, 2, 3), np.uint8)
    return FrameChunk("door", pixels, times_s, start_s + num_frames)


def test_chunks_in_a_row_leave_no_gap():
    record = CameraRecord(fps=1.0)
    for start_s in (1000.0, 1008.0, 1016.2):
        record.note_chunk(chunk(start_s))
    assert record.gaps == ()
    assert record.status.num_chunks == 3
    assert record.status.last_frame_s == pytest.approx(1023.2)


def test_an_outage_is_a_gap_from_the_last_chunk_to_the_next():
    record = CameraRecord(fps=1.0)
    record.note_chunk(chunk(1000.0))
    record.note_outage("CameraLostError: rtsp://cam: ended", GapReason.OFFLINE)
    record.note_reconnect()
    assert record.status.state is CameraState.OFFLINE
    assert "ended" in record.status.error
    record.note_chunk(chunk(1030.0))
    assert record.gaps == (Gap(1008.0, 1030.0, GapReason.OFFLINE),)
    assert record.status.state is CameraState.ONLINE
    assert (record.status.error, record.status.reconnects) == (None, 1)


def test_an_outage_that_goes_on_ends_now():
    record = CameraRecord(fps=1.0)
    began_s = record.seen_until_s
    record.note_outage("CameraOpenError: rtsp://cam: refused", GapReason.OFFLINE)
    [gap] = record.gaps
    assert (gap.start_s, gap.reason) == (began_s, GapReason.OFFLINE)
    assert began_s < gap.end_s <= utc_now()


def test_a_pause_of_the_stream_itself_is_a_gap():
    record = CameraRecord(fps=1.0)
    record.note_chunk(chunk(1000.0))
    record.note_chunk(chunk(1020.0))
    assert record.gaps == (Gap(1008.0, 1020.0, GapReason.STALLED),)


def test_drops_in_a_row_are_one_gap():
    record = CameraRecord(fps=1.0)
    for start_s in (1000.0, 1008.0, 1016.0, 1040.0):
        record.note_drop(chunk(start_s))
    assert record.status.dropped_chunks == 4
    assert record.gaps == (
        Gap(1000.0, 1024.0, GapReason.DROPPED),
        Gap(1040.0, 1048.0, GapReason.DROPPED),
    )


def test_an_error_is_shown_by_name_and_redacted():
    record = CameraRecord(fps=1.0)
    error = CameraOpenError("rtsp://me:s3cret@cam/1", "refused")
    record.note_outage(error, GapReason.OFFLINE)
    assert record.status.error == "CameraOpenError: rtsp://***@cam/1: refused"
