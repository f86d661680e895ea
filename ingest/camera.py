"""The frames of a camera, or of recordings that are played as if they were one.

Everything is decoded, since a frame needs those before it, unless keyframes, which need
none, will do. Only what the sampler keeps is scaled and converted.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from ingest.clock import FrameClock, utc_now, wait_until
from ingest.decoder import VideoPacket
from ingest.errors import CameraLostError, CameraOpenError
from ingest.films import Recording
from ingest.frame import Frame
from ingest.motion import Cells, cells_of
from ingest.recorder import Recorder
from ingest.sampler import Sampler
from ingest.settings import CameraSettings, Decoding, Resume
from ingest.simulation.stream import simulated_frames
from ingest.video import Video

logger = logging.getLogger(__name__)

_SAME_S = 1e-3  # two times this close are those of one frame


@dataclass(frozen=True, slots=True)
class _Picture:
    decoded: av.VideoFrame
    time_s: float

    def cells(self) -> Cells:
        """Give the mean luma of its cells."""
        kind = self.decoded.format
        is_luma_first = kind.is_planar and not kind.is_rgb
        if not is_luma_first or kind.components[0].bits != 8:
            grey = self.decoded.to_ndarray(format="gray")
            return cells_of(np.asarray(grey, np.uint8))
        plane = self.decoded.planes[0]
        lines = np.frombuffer(bytes(plane), np.uint8)
        lines = lines.reshape(plane.height, plane.line_size)
        return cells_of(lines[:, : plane.width])


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
    sampler = Sampler(settings.rates)
    is_enough = _is_enough(settings, sampler)
    if settings.is_file:
        pictures = _play(settings, is_enough, resume, alive)
    else:
        pictures = _follow(settings, is_enough, alive)
    for picture in sampler.sample(pictures):
        yield _convert(picture, settings.max_side)


def _is_enough(settings: CameraSettings, sampler: Sampler) -> Callable[[], bool]:
    """Give what tells whether keyframes alone will do now."""
    match settings.decoding:
        case Decoding.ALL:
            return lambda: False
        case Decoding.CALM_KEYFRAMES:
            return lambda: sampler.is_calm
        case Decoding.KEYFRAMES:
            return lambda: True


def _play(
    settings: CameraSettings,
    is_enough: Callable[[], bool],
    resume: Resume | None,
    alive: Callable[[float], None],
) -> Iterator[_Picture]:
    """Play a file, or those of a folder in the order of their names, end to end."""
    folder = Path(settings.address)
    if not folder.is_dir():
        with Video(settings, settings.address, is_enough) as video:
            began_s = _began_s(settings, video.duration_s, resume)
            yield from _play_file(settings, video, began_s, resume, alive)
        return
    lengths = _lengths(settings, folder)
    began_s = _began_s(settings, sum(lengths.values()), resume)
    starts_s = accumulate(lengths.values(), initial=began_s)
    for (path, length_s), start_s in zip(lengths.items(), starts_s, strict=False):
        if resume and start_s + length_s <= resume.from_s:
            continue
        try:
            with Video(settings, path, is_enough) as video:
                yield from _play_file(settings, video, start_s, resume, alive)
        except (CameraOpenError, CameraLostError) as exc:
            logger.warning("goes on with the next: %s", exc)


def _lengths(settings: CameraSettings, folder: Path) -> dict[str, float]:
    """Give how long each video of a folder is; leave out what is none.

    Raises:
        CameraOpenError: There is none.
    """
    lengths = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            with Video(settings, str(path), lambda: False) as video:
                lengths[str(path)] = video.duration_s
        except CameraOpenError as exc:
            logger.warning("left out: %s", exc)
    if not lengths:
        raise CameraOpenError(str(folder), "there is no video in this folder")
    return lengths


def _began_s(
    settings: CameraSettings, duration_s: float, resume: Resume | None
) -> float:
    """Give the UTC of the beginning.

    What is played at its own pace begins now. What is played as fast as it is taken is
    told as a recording that ends now, so that nothing lies in the future.
    """
    if resume:
        return resume.began_s
    return utc_now() - (0.0 if settings.realtime else duration_s)


def _play_file(
    settings: CameraSettings,
    video: Video,
    began_s: float,
    resume: Resume | None,
    alive: Callable[[float], None],
) -> Iterator[_Picture]:
    first_s: float | None = None
    position_s = -video.interval_s
    for decoded in video.frames():
        if decoded.time is None:
            position_s += video.interval_s
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


def _follow(
    settings: CameraSettings,
    is_enough: Callable[[], bool],
    alive: Callable[[float], None],
) -> Iterator[_Picture]:
    clock = FrameClock()
    is_told = False
    with (
        Video(settings, settings.address, is_enough) as video,
        closing(_Keeper(settings.recording, video)) as keeper,
    ):
        frames = video.frames(skipped=lambda: alive(utc_now()), passed=keeper.keep)
        for number, decoded in enumerate(frames):
            if number == 0 and decoded.time is None:
                continue  # RTSP's first: later ones tell how late it came, it can't
            time_s = clock.stamp(decoded.time, utc_now(), video.origin_s)
            if clock.disbelieved_s is not None and not is_told:
                is_told = True
                off_s = clock.disbelieved_s
                told = "%s is stamped by arrival: its clock is %+.0f s off"
                logger.warning(told, settings.name, off_s)
            alive(time_s)
            yield _Picture(decoded, time_s)
    raise CameraLostError(settings.address, "the stream ended")


class _Keeper:
    """Records the packets of a live video, if it is to be recorded."""

    def __init__(self, recording: Recording | None, video: Video) -> None:
        self._video = video
        self._clock = FrameClock()
        self._recorder: Recorder | None = None
        if recording is not None:
            self._recorder = Recorder(video.stream, recording)

    def keep(self, packet: VideoPacket) -> None:
        """Record a packet; a disk that refuses ends the recording, not the watch."""
        recorder, base = self._recorder, packet.time_base
        if not recorder or packet.dts is None or packet.pts is None or base is None:
            return
        # Of packets dts rises, pts does not.
        decoded_s = float(packet.dts * base)
        sent_s = self._clock.stamp(decoded_s, utc_now(), self._video.origin_s)
        try:
            recorder.write(packet, sent_s + float(packet.pts * base) - decoded_s)
        except OSError as exc:
            logger.warning("recording has ended: %s", exc.strerror)
            self._recorder = None

    def close(self) -> None:
        """End the film that is being written."""
        with suppress(OSError):
            if self._recorder:
                self._recorder.end()


def _convert(picture: _Picture, max_side: int) -> Frame:
    width, height = picture.decoded.width, picture.decoded.height
    scale = min(1.0, max_side / max(width, height))
    scaled = picture.decoded.reformat(
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        format="rgb24",
        interpolation=Interpolation.AREA,  # as good as bilinear for half its time
    )
    return Frame(np.asarray(scaled.to_ndarray(), np.uint8), picture.time_s)
