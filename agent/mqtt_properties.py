"""What MQTT 5 carries beside a payload; a link of MQTT 3.1.1 leaves it out."""

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


def response_properties(correlation: bytes | None) -> Properties:
    """Build what an answer carries in MQTT 5."""
    copied = {} if correlation is None else {"CorrelationData": correlation}
    return _make_properties(
        PacketTypes.PUBLISH,
        ContentType="application/json",
        PayloadFormatIndicator=1,
        **copied,
    )


def _make_properties(packet_type: int, **values: str | bytes | int) -> Properties:
    properties = Properties(packet_type)  # type: ignore[no-untyped-call]  # paho ships it untyped
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
