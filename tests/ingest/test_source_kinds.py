"""Every kind of address that docs/cameras.md names, against a server that is real.

RTSP and HTTP MPEG-TS are in test_source_live.py and test_faults.py, files and folders
in test_camera.py.
"""

import asyncio
import base64
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from camera_proxies import UdpRtsp, tls_before
from camera_servers import (
    DatagramCamera,
    HlsCamera,
    MjpegCamera,
    PushingCamera,
    grey_of,
    jpeg_of,
)
from servers import RtspServer, make_certificate

from benchmarks.feeds import HOST, Feed, encode
from ingest.camera import read_frames
from ingest.errors import CameraOpenError
from ingest.films import Recording, films_of
from ingest.frame import FrameChunk
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from ingest.status import CameraState

pytestmark = pytest.mark.timeout(60)  # some kinds take seconds to open

SLACK_S = 0.5  # of a stamp, on a busy machine
RAW = {"video_size": "160x120", "pixel_format": "gray", "framerate": "10"}


def camera(address: str, **changes: object) -> CameraSettings:
    usual = {"fps": 4.0, "chunk_frames": 4, "open_timeout_s": 4, "stall_timeout_s": 3}
    return CameraSettings(name="door", address=address, **usual | changes)


@pytest.fixture
def assert_shown(second_of: Callable) -> Callable[[list[FrameChunk]], None]:
    """Assert that pictures show second after second, at the times they are told for."""

    def check(chunks: list[FrameChunk]) -> None:
        times_s = np.concatenate([chunk.times_s for chunk in chunks])
        pixels = np.concatenate([chunk.pixels for chunk in chunks])
        assert np.ptp(pixels, axis=(1, 2, 3)).max() <= 2  # grey, and nothing else
        seconds = [second_of(each) for each in pixels]
        assert len(set(seconds)) >= 3
        assert np.ptp(times_s - seconds) < 1 + SLACK_S  # each is shown for one

    return check


async def watched(settings: CameraSettings, num_chunks: int = 4) -> list[FrameChunk]:
    async with CameraSource(settings) as source:
        chunks = [await anext(source) for _ in range(num_chunks)]
        assert (source.status.reconnects, source.status.error) == (0, None)
    return chunks


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of the loopback device, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    make_certificate(*files)
    return files


@pytest.fixture
def rtsp(video: Path, serve_rtsp: Callable[[Path], RtspServer]) -> str:
    """The address of an RTSP camera."""
    return serve_rtsp(video.parent).url(video.name)


@pytest.fixture
def feed() -> Iterator[Callable[[bytes, float], Feed]]:
    """Send bytes by HTTP, whatever they are, to who connects: `feed(data, seconds)`."""
    feeds: list[Feed] = []

    def start(data: bytes, seconds: float) -> Feed:
        feeds.append(Feed(data, seconds))
        return feeds[-1]

    yield start
    for each in feeds:
        each.kill()


def at_port(address: str, port: int, scheme: str) -> str:
    parts = urlsplit(address)
    return parts._replace(scheme=scheme, netloc=f"{HOST}:{port}").geturl()


async def test_rtmp_that_a_camera_pushes(
    video: Path, free_port: Callable, assert_shown: Callable
):
    address = f"rtmp://{HOST}:{free_port()}/live/door"
    with PushingCamera(video, address):
        chunks = await watched(camera(address, options={"listen": "1"}), 6)
    assert_shown(chunks[1:])  # FFmpeg holds the first seconds back, to look at them


async def test_rtsps(rtsp: str, certificate: tuple[Path, Path], assert_shown: Callable):
    async with tls_before(urlsplit(rtsp).port, *certificate) as port:
        assert_shown(await watched(camera(at_port(rtsp, port, "rtsps"))))


async def test_rtsps_whose_certificate_is_verified(
    rtsp: str, certificate: tuple[Path, Path], assert_shown: Callable
):
    verify = {"tls_verify": "1"}
    trust = verify | {"ca_file": str(certificate[0])}
    async with tls_before(urlsplit(rtsp).port, *certificate) as port:
        address = at_port(rtsp, port, "rtsps")
        with pytest.raises(CameraOpenError):
            await asyncio.to_thread(next, read_frames(camera(address, options=verify)))
        assert_shown(await watched(camera(address, options=trust)))


async def test_https(
    feed: Callable, certificate: tuple[Path, Path], assert_shown: Callable
):
    address = feed(encode(12), 12).url
    async with tls_before(urlsplit(address).port, *certificate) as port:
        assert_shown(await watched(camera(at_port(address, port, "https"))))


async def test_rtsp_by_udp(rtsp: str, assert_shown: Callable):
    options = {"rtsp_transport": "udp"}
    by_udp = UdpRtsp(urlsplit(rtsp).port)
    async with by_udp.listening() as port:
        address = at_port(rtsp, port, "rtsp")
        assert_shown(await watched(camera(address, options=options)))
    assert by_udp.num_datagrams > 30


async def test_mpeg_ts_by_udp(free_port: Callable, assert_shown: Callable):
    port = free_port()
    with DatagramCamera(encode(15), 15, port):
        assert_shown(await watched(camera(f"udp://{HOST}:{port}")))


@pytest.mark.parametrize("fps", [8, 30])  # FFmpeg takes 25 for granted
async def test_mjpeg_is_stamped_by_arrival(fps: int, assert_shown: Callable):
    with MjpegCamera(fps) as server:
        assert_shown(await watched(camera(f"http://{HOST}:{server.port}/picture")))


def test_films_of_mjpeg_last_as_long_as_they_say(tmp_path: Path, second_of: Callable):
    recording = Recording(str(tmp_path), film_s=60.0)
    with MjpegCamera(8) as server:
        address = f"http://{HOST}:{server.port}/picture"
        frames = read_frames(camera(address, recording=recording))
        assert len(list(islice(frames, 16))) == 16
        frames.close()
    (film,) = films_of(tmp_path)
    with av.open(str(film.path)) as container:
        shown = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode()]
    lasts_s = (film.end_ms - film.start_ms) / 1000
    assert 3 < lasts_s == pytest.approx(shown[-1][0] - shown[0][0], abs=SLACK_S)
    assert np.ptp([time_s - second_of(pixels) for time_s, pixels in shown]) < 1.5


async def test_credentials_are_sent_and_are_nowhere_else(
    assert_shown: Callable,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture,
):
    caplog.set_level("DEBUG")
    basic = "Basic " + base64.b64encode(b"me:s3cr@t").decode()
    with MjpegCamera(10, credentials=basic) as server:
        settings = camera(f"http://me:s3cr%40t@{HOST}:{server.port}/picture")
        assert_shown(await watched(settings))
        assert server.authorizations[-1] == basic
    printed = capfd.readouterr()
    told = repr(settings) + caplog.text + printed.out + printed.err
    assert "s3cr" not in told
    assert basic not in told


async def test_refused_credentials_are_in_no_error(
    until: Callable, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
):
    caplog.set_level("DEBUG")
    with MjpegCamera(10, credentials="Basic other") as server:
        settings = camera(f"http://me:wr0ng@{HOST}:{server.port}/picture")
        async with CameraSource(settings) as source:
            await until(lambda: source.status.state is CameraState.OFFLINE)
            error = source.status.error
        assert set(server.authorizations) > {None}  # they were tried
    assert error.startswith("CameraOpenError")
    assert "nauthorized" in error
    printed = capfd.readouterr()
    assert "wr0ng" not in error + caplog.text + printed.out + printed.err


async def test_live_hls(
    tmp_path: Path, serve_http: Callable, until: Callable, assert_shown: Callable
):
    with HlsCamera(tmp_path) as server:
        await until(server.playlist.exists)
        address = serve_http(tmp_path, server.playlist.name)
        chunks = await watched(camera(address), num_chunks=7)
    # What has been written before comes at once: from then on delays are known.
    assert_shown(chunks[3:])


@pytest.mark.parametrize(
    ("kind", "data", "options"),
    [
        ("mjpeg", b"".join(jpeg_of(n // 10) for n in range(150)), {}),
        (
            "rawvideo",
            b"".join(bytes([grey_of(n // 10)]) * 19200 for n in range(150)),
            RAW,
        ),
    ],
    ids=["mjpeg", "rawvideo"],
)
async def test_a_format_that_is_named(
    kind: str,
    data: bytes,
    options: dict[str, str],
    feed: Callable,
    assert_shown: Callable,
):
    address = feed(data, 15).url  # its name and its Content-Type say MPEG-TS
    with pytest.raises(CameraOpenError):
        await asyncio.to_thread(next, read_frames(camera(address)))
    settings = camera(address, format=kind, options=options)
    assert_shown((await watched(settings, num_chunks=5))[1:])


def test_a_file_by_its_url(video: Path, second_of: Callable):
    frames = read_frames(camera(video.as_uri(), fps=1.0, realtime=False))
    assert [second_of(frame.pixels) for frame in frames] == list(range(12))


async def test_a_device_of_ffmpegs_own(assert_shown: Callable):
    luma = "16+(20+15*floor(T))*219/255"
    source = "color=black:size=160x120:rate=10,format=yuv420p"
    address = f"{source},geq=lum='{luma}':cb=128:cr=128"
    assert_shown(await watched(camera(address, format="lavfi")))


def test_dev_video_is_opened_by_v4l2(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str | None]] = []

    def refuse(address: str, *, format: str | None, **_others: object) -> None:
        asked.append((address, format))
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(CameraOpenError, match="No such file"):
        next(read_frames(camera("/dev/video0")))
    assert asked == [("/dev/video0", "v4l2")]


@pytest.mark.skipif(not Path("/dev/video0").exists(), reason="no camera at /dev/video0")
async def test_v4l2():
    (chunk,) = await watched(camera("/dev/video0"), num_chunks=1)
    assert chunk.pixels.shape[0] == 4
    assert np.ptp(chunk.pixels) > 0
