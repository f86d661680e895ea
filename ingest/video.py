"""One opened video, of a camera or a file: its packets and its frames."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import av.container
import av.error
import av.stream
import av.video

from ingest.clock import utc_now
from ingest.decoder import Decoder, VideoPacket
from ingest.errors import CameraLostError, CameraOpenError, NoVideoError
from ingest.settings import CameraSettings

_PRFT = struct.Struct("<qi")  # producer reference time: UTC in microseconds, flags
_NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
_US = Fraction(1, 1_000_000)
_LEAST_APART_US = 1000  # two packets, so that a film's coarser times differ as well
_NOT_AN_ANSWER = 0.9  # of the time-out: FFmpeg calls silence "invalid data"


class Video:
    """A video that is open; a context manager.

    Args:
        settings: The camera.
        address: What to open: the camera's address, or one of its files.
        is_enough: Tells whether keyframes alone will do now.

    Raises:
        CameraOpenError: It can't be opened.
        NoVideoError: There is no video in it.
    """

    def __init__(
        self, settings: CameraSettings, address: str, is_enough: Callable[[], bool]
    ) -> None:
        self._address = address
        self._is_live = settings.is_live
        self._container = _open(settings, address)
        try:
            self.stream = self._find_video()
        except NoVideoError:
            self._container.close()
            raise
        self._decoder = Decoder(self.stream, is_enough)
        self._origin_s: float | None = None
        self._opened_s, self._arrival_us = utc_now(), -_LEAST_APART_US

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()

    @property
    def duration_s(self) -> float:
        """How long it is, 0 if that is not known."""
        return (self._container.duration or 0) / av.time_base

    @property
    def interval_s(self) -> float:
        """From a frame to the next, usually."""
        return 1 / float(self.stream.average_rate or 25)

    @property
    def origin_s(self) -> float | None:
        """UTC of pts 0 by the camera's own clock, if it tells (RTCP)."""
        origin_us = self._container.start_time_realtime
        if self._origin_s is None and origin_us is not None:
            return origin_us / 1e6
        return self._origin_s

    def frames(
        self,
        skipped: Callable[[], None] = lambda: None,
        passed: Callable[[VideoPacket], None] = lambda _: None,
    ) -> Iterator[av.VideoFrame]:
        """Decode it to its end.

        Args:
            skipped: Called for each packet that is not decoded because it need not be.
            passed: Told each packet, decoded or not.

        Raises:
            CameraLostError: It broke off.
            CameraOpenError: Nothing in it could be decoded.
        """
        seen = False
        try:
            for packet in self._container.demux(self.stream):
                if self._is_live:
                    self._note_time(packet)
                if self._is_live and self._has_no_times and packet.size:
                    self._stamp_by_arrival(packet)
                frames: list[av.VideoFrame] = []
                if self._decoder.skips(packet):
                    skipped()
                else:
                    frames = self._decoder.decode(packet)
                passed(packet)
                seen = seen or bool(frames)
                yield from frames
        except (av.error.FFmpegError, OSError) as exc:
            raise CameraLostError(self._address, _reason(exc)) from exc
        if not seen:
            raise CameraOpenError(self._address, "no frame of it could be decoded")

    def _note_time(self, packet: VideoPacket) -> None:
        """Note what the newest packet says of the camera's clock, if it says it."""
        if not packet.has_sidedata("prft") or packet.pts is None:
            return
        wall_us, _flags = _PRFT.unpack(bytes(packet.get_sidedata("prft"))[: _PRFT.size])
        if packet.time_base is not None:
            self._origin_s = wall_us / 1e6 - float(packet.pts * packet.time_base)

    @property
    def _has_no_times(self) -> bool:
        """Whether the format has no pts: FFmpeg makes them up, at 25 a second."""
        return bool(self._container.format.flags & _NO_TIMESTAMPS)

    def _stamp_by_arrival(self, packet: VideoPacket) -> None:
        arrival_us = round((utc_now() - self._opened_s) / _US)
        self._arrival_us = max(arrival_us, self._arrival_us + _LEAST_APART_US)
        packet.pts = packet.dts = self._arrival_us
        packet.time_base, packet.duration = _US, 0

    def _find_video(self) -> av.video.VideoStream:
        for stream in self._container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                return stream
        raise NoVideoError(self._address, "there is no video in it")


def _open(settings: CameraSettings, address: str) -> av.container.InputContainer:
    started_s = time.monotonic()
    try:
        return av.open(
            address,
            mode="r",
            format=settings.format or _format_of(address),
            options=_options(settings),
            timeout=(settings.open_timeout_s, settings.stall_timeout_s),
        )
    except (av.error.FFmpegError, OSError, ValueError) as exc:
        reason = _reason(exc)
        waited_s = time.monotonic() - started_s
        if not settings.is_file and waited_s > _NOT_AN_ANSWER * settings.open_timeout_s:
            reason = f"no answer within {settings.open_timeout_s:g} s"
        raise CameraOpenError(address, reason) from exc


def _format_of(address: str) -> str | None:
    return "v4l2" if address.startswith("/dev/video") else None


def _options(settings: CameraSettings) -> dict[str, str]:
    if settings.is_file:
        return dict(settings.options)
    ours = {"analyzeduration": "1000000", "fpsprobesize": "0"}  # don't wait to know fps
    if settings.address.startswith(("rtsp://", "rtsps://")):
        socket_s = min(settings.open_timeout_s, settings.stall_timeout_s)
        ours |= {
            "rtsp_transport": "tcp",
            "timeout": str(round(socket_s * 1e6)),
            "allowed_media_types": "video",
            "fflags": "+genpts+discardcorrupt",
        }
    return ours | dict(settings.options)


def _reason(exc: Exception) -> str:
    # Not str(exc): FFmpeg puts the address there, and an address may hold a password.
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno)
    return type(exc).__name__
