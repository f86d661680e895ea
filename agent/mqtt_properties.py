"""What MQTT 5 carries beside a payload; a link of MQTT 3.1.1 leaves it out."""

import math

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def connect_properties(max_packet_bytes: int, session_s: int) -> Properties:
    """Build what we ask of the broker: no larger packets, and to keep our session."""
    return _make_properties(
        PacketTypes.CONNECT,
        MaximumPacketSize=max_packet_bytes,
        SessionExpiryInterval=session_s,
    )


def request_properties(topic: str, correlation: bytes, expiry_s: float) -> Properties:
    """Build what a question carries in MQTT 5."""
    return _make_properties(
        PacketTypes.PUBLISH,
        ResponseTopic=topic,
        CorrelationData=correlation,
        MessageExpiryInterval=max(1, round(expiry_s)),
    )


def response_properties(
    correlation: bytes | None, expiry_s: float = math.inf
) -> Properties:
    """Build what an answer carries in MQTT 5.

    Args:
        correlation: The question's.
        expiry_s: After which the broker need not deliver it any more.
    """
    values: dict[str, str | bytes | int] = {}
    if correlation is not None:
        values["CorrelationData"] = correlation
    if expiry_s < math.inf:
        values["MessageExpiryInterval"] = max(1, round(expiry_s))
    return _make_properties(
        PacketTypes.PUBLISH,
        ContentType="application/json",
        PayloadFormatIndicator=1,
        **values,
    )


def payload_properties(
    payload: bytes, correlation: bytes | None, expiry_s: float
) -> Properties | None:
    """Build what a message of ours carries; of a picture, or a word, nothing."""
    if not payload.startswith(b"{"):
        return None
    return response_properties(correlation, expiry_s)


def _make_properties(packet_type: int, **values: str | bytes | int) -> Properties:
    properties = Properties(packet_type)  # type: ignore[no-untyped-call]  # paho ships it untyped
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
