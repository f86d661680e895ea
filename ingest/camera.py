"""The frames of a camera; the only user of PyAV.

Everything is decoded, since a frame needs those before it, but only what the sampler
keeps is scaled and converted.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import av.container
import av.error
import av.stream
import av.video
import numpy as np

from ingest.clock import FrameClock, utc_now, wait_until
from ingest.errors import CameraLostError, CameraOpenError, NoVideoError
from ingest.frame import Frame
from ingest.sampler import sample_frames
from ingest.settings import CameraSettings, Resume
from ingest.simulation.stream import simulated_frames

_NOT_AN_ANSWER = 0.9  # of the time-out: FFmpeg calls silence "invalid data"
_SAME_S = 1e-3  # two times this close are those of one frame


@dataclass(frozen=True, slots=True)
class _Picture:
    decoded: av.VideoFrame
    time_s: float


def _ignore(_time_s: float) -> None:
    pass


def read_frames(
    settings: CameraSettings,
    resume: Resume | None = None,
    alive: Callable[[float], None] = _ignore,
) -> Iterator[Frame]:
    """Give the sampled frames of a camera as they come, until a file ends.

    A frame of a file has its time in the file plus the UTC at which playing began, or
    would have begun to end now; one of a live stream is stamped by `FrameClock`.

    Args:
        settings: The camera.
        resume: Where to go on in a file or a simulated camera, or None to begin.
        alive: Told the UTC of each frame that arrives, sampled or not.

    Raises:
        CameraOpenError: It can't be opened, or nothing in it can be decoded.
        NoVideoError: There is no video in it.
        CameraLostError: The stream broke, or a live one ended.
    """
    if settings.is_simulated:
        yield from simulated_frames(settings, resume, alive)
        return
    with _open(settings) as container:
        stream = _find_video(settings, container)
        if settings.is_file:
            pictures = _play_file(settings, container, stream, resume, alive)
        else:
            pictures = _follow(settings, container, stream, alive)
        for picture in sample_frames(pictures, settings.fps):
            yield _convert(picture, settings.max_side)


def _open(settings: CameraSettings) -> av.container.InputContainer:
    started_s = time.monotonic()
    try:
        return av.open(
            settings.address,
            mode="r",
            format="v4l2" if settings.address.startswith("/dev/video") else None,
            options=_options(settings),
            timeout=(settings.open_timeout_s, settings.stall_timeout_s),
        )
    except (av.error.FFmpegError, OSError, ValueError) as exc:
        reason = _reason(exc)
        waited_s = time.monotonic() - started_s
        if not settings.is_file and waited_s > _NOT_AN_ANSWER * settings.open_timeout_s:
            reason = f"no answer within {settings.open_timeout_s:g} s"
        raise CameraOpenError(settings.address, reason) from exc


def _options(settings: CameraSettings) -> dict[str, str]:
    ours: dict[str, str] = {}
    if settings.address.startswith(("rtsp://", "rtsps://")):
        socket_s = min(settings.open_timeout_s, settings.stall_timeout_s)
        ours = {
            "rtsp_transport": "tcp",
            "timeout": str(round(socket_s * 1e6)),
            "allowed_media_types": "video",
            "analyzeduration": "1000000",
            "fflags": "+genpts+discardcorrupt",
        }
    return ours | dict(settings.options)


def _find_video(
    settings: CameraSettings, container: av.container.InputContainer
) -> av.video.VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise NoVideoError(settings.address, "there is no video in it")


def _decode(
    settings: CameraSettings,
    container: av.container.InputContainer,
    stream: av.video.VideoStream,
) -> Iterator[av.VideoFrame]:
    seen = False
    try:
        for packet in container.demux(stream):
            for decoded in _decode_packet(packet):
                seen = True
                yield decoded
    except (av.error.FFmpegError, OSError) as exc:
        raise CameraLostError(settings.address, _reason(exc)) from exc
    if not seen:
        raise CameraOpenError(settings.address, "no frame of it could be decoded")


def _decode_packet(packet: "av.Packet[av.video.VideoStream]") -> list[av.VideoFrame]:
    try:
        return [f for f in packet.decode() if isinstance(f, av.VideoFrame)]
    except av.error.InvalidDataError:
        return []  # one broken packet; a stream of them is told by the age of frames


def _play_file(
    settings: CameraSettings,
    container: av.container.InputContainer,
    stream: av.video.VideoStream,
    resume: Resume | None,
    alive: Callable[[float], None],
) -> Iterator[_Picture]:
    began_s = resume.began_s if resume else _playing_began_s(settings, container)
    interval_s = 1 / float(stream.average_rate or 25)
    first_s: float | None = None
    position_s = -interval_s
    for decoded in _decode(settings, container, stream):
        if decoded.time is None:
            position_s += interval_s
        else:
            first_s = decoded.time if first_s is None else first_s
            position_s = decoded.time - first_s
        time_s = began_s + position_s
        if resume:
            if time_s < resume.from_s - _SAME_S:
                continue
            time_s = max(time_s, resume.from_s)
        if settings.realtime:
            wait_until(time_s, alive)
        alive(time_s)
        yield _Picture(decoded, time_s)


def _playing_began_s(
    settings: CameraSettings, container: av.container.InputContainer
) -> float:
    """Give the UTC of a file's beginning.

    One that is played at its own pace begins now. One that is played as fast as it is
    taken is told as a recording that ends now, so that nothing lies in the future.
    """
    if settings.realtime or not container.duration:
        return utc_now()
    return utc_now() - container.duration / av.time_base


def _follow(
    settings: CameraSettings,
    container: av.container.InputContainer,
    stream: av.video.VideoStream,
    alive: Callable[[float], None],
) -> Iterator[_Picture]:
    clock = FrameClock()
    for number, decoded in enumerate(_decode(settings, container, stream)):
        if number == 0 and decoded.time is None:
            continue  # RTSP's first frame: later ones tell how late it came, it can't
        origin_us = container.start_time_realtime
        time_s = clock.stamp(
            decoded.time, utc_now(), None if origin_us is None else origin_us / 1e6
        )
        alive(time_s)
        yield _Picture(decoded, time_s)
    raise CameraLostError(settings.address, "the stream ended")


def _convert(picture: _Picture, max_side: int) -> Frame:
    width, height = picture.decoded.width, picture.decoded.height
    scale = min(1.0, max_side / max(width, height))
    scaled = picture.decoded.reformat(
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        format="rgb24",
    )
    return Frame(np.asarray(scaled.to_ndarray(), np.uint8), picture.time_s)


def _reason(exc: Exception) -> str:
    # Not str(exc): FFmpeg puts the address there, and an address may hold a password.
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno)
    return type(exc).__name__
