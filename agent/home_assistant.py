"""How a camera looks to Home Assistant: one device, announced by one MQTT message.

The message is Home Assistant's device discovery (2024.11 and later), retained on the
camera's discovery topic. An empty retained payload on that topic removes the device
with all that it has. Nothing here sends; `docs/home-assistant.md` tells what appears.
"""

from typing import Any

from ingest.status import CameraState

BASE = "homeassistant"
"""First part of Home Assistant's own topics, unless it was told another."""

BIRTH_TOPIC = f"{BASE}/status"
"""Says `online` when Home Assistant has started: cameras are announced anew then."""

MAX_STATE = 255
"""Home Assistant refuses a longer state."""

_ELLIPSIS = "…"

# An answer's attributes are kept in Home Assistant's database, if all together have
# less than 16 KiB: what grows without bound is left out, or its best part is kept.
_ATTRIBUTES = (
    "{{ dict(value_json.items()"
    " | rejectattr(0, 'in', ['state', 'coverage', 'timings_ms', 'tokens']),"
    " evidence=(value_json.evidence | default([], true))[:8]) | tojson }}"
)

Component = dict[str, Any]


def discovery_topic(prefix: str, camera: str, base: str = BASE) -> str:
    """Give the topic whose retained message announces a camera.

    An empty retained payload on it removes the camera's device again.

    Args:
        prefix: First part of every topic of the agent.
        camera: The camera's name.
        base: Home Assistant's discovery prefix.
    """
    return f"{base}/device/{_object_id(prefix, camera)}/config"


def discovery_message(
    prefix: str, camera: str, version: str, configuration_url: str | None = None
) -> dict[str, Any]:
    """Give the message that announces a camera, ready for JSON.

    What the agent does or measures is unavailable while the agent is away. What was
    said and seen stays to be read: it is as true then, and an automation on it must
    not run because the agent came back.

    Args:
        prefix: First part of every topic of the agent.
        camera: The camera's name.
        version: Of Longwatch.
        configuration_url: A page for people, `http://` or `https://`, or None.
    """
    object_id, own = _object_id(prefix, camera), f"{prefix}/{camera}"
    device = {
        "identifiers": [object_id],
        "name": f"Longwatch {camera}",
        "manufacturer": "Longwatch",
        "model": "Camera",
        "sw_version": version,
    }
    if configuration_url is not None:
        device["configuration_url"] = configuration_url
    live = _states(f"{own}/status") | _controls(own)
    past = {key: {**entity, "availability": []} for key, entity in _past(own).items()}
    return {
        "device": device,
        "origin": {"name": "Longwatch", "sw_version": version},
        "availability": [{"topic": f"{prefix}/status"}],
        "components": {
            # The dot is in no camera's name, so no two cameras share an id.
            key: {**entity, "unique_id": f"{object_id}.{key}", "qos": 1}
            for key, entity in (live | past).items()
        },
    }


def short_state(text: str) -> str:
    """Cut a text to what Home Assistant takes as a state, an ellipsis at the end."""
    if len(text) <= MAX_STATE:
        return text
    return text[: MAX_STATE - len(_ELLIPSIS)].rstrip() + _ELLIPSIS


def _states(topic: str) -> dict[str, Component]:
    """Give the sensors that read a camera's status."""
    sensor = {"platform": "sensor", "state_topic": topic}
    counter = {
        **sensor,
        "state_class": "total_increasing",
        "unit_of_measurement": "chunks",
        "entity_category": "diagnostic",
    }
    return {
        "state": {
            **sensor,
            "name": "State",
            "device_class": "enum",
            "options": [state.value for state in CameraState],
            "value_template": "{{ value_json.state }}",
        },
        "last_frame": {
            **sensor,
            "name": "Last frame",
            "device_class": "timestamp",
            "entity_category": "diagnostic",
            "value_template": "{{ value_json.last_frame }}",
        },
        "chunks": {
            **counter,
            "name": "Chunks",
            "value_template": "{{ value_json.chunks }}",
        },
        "dropped": {
            **counter,
            "name": "Dropped",
            "value_template": "{{ value_json.dropped }}",
        },
        "gap": {
            "platform": "binary_sensor",
            "state_topic": topic,
            "name": "Gap",
            "device_class": "problem",
            "value_template": "{{ 'OFF' if value_json.state == 'online' else 'ON' }}",
        },
    }


def _controls(own: str) -> dict[str, Component]:
    """Give what a person can use: a field to ask in, a switch."""
    return {
        "ask": {
            "platform": "text",
            "name": "Ask",
            "command_topic": f"{own}/ask",
            "min": 1,
            "max": MAX_STATE,
        },
        "watching": {
            "platform": "switch",
            "name": "Watching",
            "command_topic": f"{own}/watching/set",
            "payload_on": "on",
            "payload_off": "off",
            "state_topic": f"{own}/status",
            "value_template": "{{ 'off' if value_json.state == 'paused' else 'on' }}",
        },
    }


def _past(own: str) -> dict[str, Component]:
    """Give what tells of something that has happened."""
    said = {
        "platform": "sensor",
        "value_template": "{{ value_json.state }}",
        "json_attributes_template": _ATTRIBUTES,
    }
    return {
        "last_answer": {
            **said,
            "name": "Last answer",
            "state_topic": f"{own}/last_answer",
            "json_attributes_topic": f"{own}/last_answer",
        },
        "last_alert": {
            **said,
            "name": "Last alert",
            "state_topic": f"{own}/last_alert",
            "json_attributes_topic": f"{own}/last_alert",
        },
        "alert": {
            "platform": "event",
            "name": "Alert",
            "state_topic": f"{own}/alerts",
            "event_types": ["alert"],
        },
        "picture": {
            "platform": "image",
            "name": "Picture",
            "image_topic": f"{own}/picture",
            "content_type": "image/jpeg",
        },
    }


def _object_id(prefix: str, camera: str) -> str:
    name = prefix.replace("/", "_").replace("-", "_")
    return f"longwatch_{name}_{camera}"
