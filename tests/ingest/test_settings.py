import pytest

from ingest.errors import AddressError, CameraError, CameraOpenError, redact
from ingest.settings import CameraSettings, HandOff, ReaderRequest, Resume


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.2:554/live", "rtsp://***@10.0.0.2:554/live"),
        ("rtsp://admin:s3@cr/et@10.0.0.2/live", "rtsp://***@10.0.0.2/live"),
        (
            "http://cam/x?user=a&password=s3cret&n=1",
            "http://cam/x?user=***&password=***&n=1",
        ),
        ("http://cam/x?access_token=s3cret", "http://cam/x?access_token=***"),
        ("rtsp://cam/user=a_password=s3cret", "rtsp://cam/user=***"),
        ("/videos/door.mp4", "/videos/door.mp4"),
        ("rtsp://cam:554/live?channel=1", "rtsp://cam:554/live?channel=1"),
    ],
)
def test_redact_leaves_no_credentials(address: str, shown: str):
    assert redact(address) == shown


def test_errors_and_settings_do_not_show_credentials():
    address = "rtsp://admin:s3cret@10.0.0.2/live"
    settings = CameraSettings(
        name="door", address=address, options={"headers": "Authorization: s3cret"}
    )
    error = CameraOpenError(address, f"no answer from {address}")
    assert "s3cret" not in f"{settings!r} {error} {error!r} {error.address}"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"name": "the door"}, "name"),
        ({"name": ""}, "name"),
        ({"fps": 0.0}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"fps": 1000.0}, "fps"),
        ({"chunk_frames": 0}, "chunk_frames"),
        ({"max_side": 8}, "max_side"),
        ({"open_timeout_s": 0.0}, "open_timeout_s"),
        ({"stall_timeout_s": float("inf")}, "stall_timeout_s"),
        ({"buffer_chunks": 0}, "buffer_chunks"),
        ({"options": {"timeout": 3}}, "timeout"),
        ({"address": "  "}, "address"),
        ({"address": "rtsp://cam\n"}, "address"),
        ({"address": "simulated:?sed=3"}, "sed"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict, named: str):
    with pytest.raises(ValueError, match=named):
        CameraSettings(**{"name": "door", "address": "a.mp4"} | wrong)


def test_a_malformed_address_is_a_camera_error():
    with pytest.raises(AddressError) as caught:
        CameraSettings(name="door", address="")
    assert isinstance(caught.value, CameraError)


@pytest.mark.parametrize(
    ("address", "realtime", "is_live", "hand_off"),
    [
        ("door.mp4", True, False, HandOff.DROP_OLDEST),
        ("door.mp4", False, False, HandOff.WAIT),
        ("file:///door.mp4", False, False, HandOff.WAIT),
        ("rtsp://cam/1", True, True, HandOff.DROP_OLDEST),
        ("rtsp://cam/1", False, True, HandOff.DROP_OLDEST),
        ("http://cam/1.ts", False, True, HandOff.DROP_OLDEST),
        ("/dev/video0", False, True, HandOff.DROP_OLDEST),
        ("simulated:", True, True, HandOff.DROP_OLDEST),
        ("simulated:", False, True, HandOff.WAIT),
    ],
)
def test_only_what_can_wait_waits(
    address: str, realtime: bool, is_live: bool, hand_off: HandOff
):
    settings = CameraSettings(name="door", address=address, realtime=realtime)
    assert (settings.is_live, settings.hand_off) == (is_live, hand_off)


@pytest.mark.parametrize("resume", [None, Resume(1.0, 2.5)])
def test_a_request_comes_through_json_unchanged(resume: Resume | None):
    settings = CameraSettings(
        name="door", address="rtsp://cam/1", fps=0.5, options={"buffer_size": "9"}
    )
    request = ReaderRequest(settings, 42, resume)
    assert ReaderRequest.from_json(request.to_json()) == request
