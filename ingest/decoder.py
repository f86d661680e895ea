"""A stream's packets as frames: of all of them, or of keyframes alone.

A keyframe needs no other frame. While nothing moves they are enough, and cost a
twentieth of decoding everything. Where they are rare, or there are none, as in streams
that refresh bit by bit, everything is decoded.
"""

from collections.abc import Callable
from typing import TypeAlias

import av
import av.error
import av.video

MAX_APART_S = 10.0  # keyframes further apart are not enough

VideoPacket: TypeAlias = "av.Packet[av.video.VideoStream]"


class Decoder:
    """Decodes the packets of one video stream, in their order.

    Args:
        stream: The stream.
        is_enough: Tells whether keyframes alone are wanted now.
    """

    def __init__(
        self, stream: av.video.VideoStream, is_enough: Callable[[], bool]
    ) -> None:
        self._codec = stream.codec_context
        self._is_enough = is_enough
        self._key_s: float | None = None
        self._apart_s: float | None = None
        self._alone: VideoPacket | None = None  # the keyframe that was last decoded so
        self._given_pts: int | None = None  # of one whose frame was given out

    def skips(self, packet: VideoPacket) -> bool:
        """Tell whether a packet need not be decoded now."""
        return not packet.is_keyframe and bool(packet.size) and self._is_idle()

    def decode(self, packet: VideoPacket) -> list[av.VideoFrame]:
        """Give the frames that a packet completes; none of a broken one."""
        if not packet.is_keyframe:
            return self._decode(packet)
        self._measure(packet)
        return self._decode_alone(packet) if self._is_idle() else self._decode(packet)

    def _is_idle(self) -> bool:
        is_often = self._apart_s is not None and self._apart_s <= MAX_APART_S
        return is_often and self._is_enough()

    def _measure(self, packet: VideoPacket) -> None:
        """Note how far this keyframe is from the one before it."""
        if packet.pts is None or packet.time_base is None:
            return
        key_s = float(packet.pts * packet.time_base)
        if self._key_s is not None and key_s > self._key_s:
            self._apart_s = key_s - self._key_s
        self._key_s = key_s

    def _decode_alone(self, packet: VideoPacket) -> list[av.VideoFrame]:
        """Decode a keyframe, and have its frame now, not when later ones come."""
        frames = [*_frames_of(packet), *self._codec.decode(None)]
        self._codec.flush_buffers()
        for frame in frames:
            frame.time_base = packet.time_base  # of flushed ones it is not set
        self._alone = packet
        return frames

    def _decode(self, packet: VideoPacket) -> list[av.VideoFrame]:
        """Decode a packet after those before it, which may refer to a keyframe."""
        frames: list[av.VideoFrame] = []
        if self._alone is not None:
            self._given_pts = self._alone.pts
            frames += [] if packet.is_keyframe else _frames_of(self._alone)
            self._alone = None
        frames += _frames_of(packet)
        return [f for f in frames if f.pts is None or f.pts != self._given_pts]


def _frames_of(packet: VideoPacket) -> list[av.VideoFrame]:
    try:
        return [f for f in packet.decode() if isinstance(f, av.VideoFrame)]
    except av.error.InvalidDataError:
        return []  # one broken packet; a stream of them is told by the age of frames
