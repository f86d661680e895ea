"""A camera's packets, kept as films: nothing is decoded or encoded again.

A film begins with a keyframe. While it is written it is `<start>.part`, and it can be
played up to its last fragment even if the process dies; the next one names it.
"""

import time
from pathlib import Path

import av
import av.container
import av.error
import av.stream
import av.video

from ingest.decoder import VideoPacket
from ingest.films import Recording, films_of, name_of

_FLAGS = "frag_keyframe+empty_moov+default_base_moof"
_OPTIONS = {"movflags": _FLAGS, "flush_packets": "1"}


class Recorder:
    """Writes the packets of one video stream.

    Args:
        stream: The stream that they are of.
        recording: Where and how much.
    """

    def __init__(self, stream: av.video.VideoStream, recording: Recording) -> None:
        self._stream, self._recording = stream, recording
        self._folder = Path(recording.folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._output: av.container.OutputContainer | None = None
        self._start_s = self._end_s = 0.0
        self._first_dts = self._last_dts = 0
        self._end_left_over()

    def write(self, packet: VideoPacket, time_s: float) -> None:
        """Keep a packet.

        Args:
            packet: Of the stream, in its order; it stays as it is.
            time_s: UTC at which it is shown.

        Raises:
            OSError: The disk refuses.
        """
        if packet.dts is None or packet.pts is None or not packet.size:
            return
        is_over = time_s - self._start_s >= self._recording.film_s
        goes_back = self._output is not None and packet.dts <= self._last_dts
        if packet.is_keyframe and (self._output is None or is_over or goes_back):
            self.end()
            self._begin(packet, time_s)
        if self._output is None or (goes_back and not packet.is_keyframe):
            return  # nothing to be shown before, or the stream began anew
        self._last_dts, self._end_s = packet.dts, max(self._end_s, time_s)
        try:
            self._output.mux(self._copy(packet))
        except av.error.FFmpegError as exc:
            raise OSError(exc.errno, exc.strerror) from exc

    def end(self) -> None:
        """Finish the film that is being written."""
        if self._output is None:
            return
        self._output.close()
        self._output = None
        self._name(self._part(), self._start_s, self._end_s)
        self._prune()

    def _begin(self, packet: VideoPacket, time_s: float) -> None:
        assert packet.dts is not None  # `write` looked
        self._start_s = self._end_s = time_s
        self._first_dts = packet.dts
        output = av.open(str(self._part()), "w", format="mp4", options=_OPTIONS)
        self._film = output.add_stream_from_template(self._stream)
        self._output = output

    def _copy(self, packet: VideoPacket) -> "av.Packet[av.stream.Stream]":
        """Give the packet as the film has it: its times begin with the film."""
        assert packet.pts is not None  # `write` looked
        assert packet.dts is not None
        copy = av.Packet(bytes(packet))
        copy.pts = packet.pts - self._first_dts
        copy.dts = packet.dts - self._first_dts
        copy.time_base, copy.duration = packet.time_base, packet.duration
        copy.is_keyframe = packet.is_keyframe
        copy.stream = self._film
        return copy

    def _part(self) -> Path:
        return self._folder / f"{round(self._start_s * 1000):013d}.part"

    def _name(self, part: Path, start_s: float, end_s: float) -> None:
        part.rename(self._folder / name_of(start_s, end_s))

    def _end_left_over(self) -> None:
        """Name what a process that died was writing by when it last did."""
        for part in self._folder.glob("*.part"):
            if part.stat().st_size:
                self._name(part, int(part.stem) / 1000, part.stat().st_mtime)
            else:
                part.unlink()

    def _prune(self) -> None:
        films = films_of(self._folder)
        sizes = {film: film.path.stat().st_size for film in films}
        total = sum(sizes.values())
        oldest_ms = (time.time() - self._recording.max_age_s) * 1000
        for film in films[:-1]:
            if total <= self._recording.max_bytes and film.end_ms >= oldest_ms:
                break
            film.path.unlink(missing_ok=True)
            total -= sizes[film]
