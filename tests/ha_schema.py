"""What Home Assistant takes as the discovery message of a device, kind by kind.

Written from its documentation of MQTT discovery and of the kinds of entity that we
use. It is stricter where Home Assistant is lenient: that drops options which it does
not know, and logs what it leaves out where no test sees it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

DISCOVERY_TOPIC = r"[^/#+]+/device/[a-zA-Z0-9_-]+/config"
MAX_STATE = 255

_SENSORS = "date enum timestamp"  # the ones without a unit
_SWITCHES = "outlet switch"
_EVENTS = "button doorbell motion"
_BINARY_SENSORS = """battery battery_charging carbon_monoxide cold connectivity door
    garage_door gas heat light lock moisture motion moving occupancy opening plug power
    presence problem running safety smoke sound tamper update vibration window"""

# As Home Assistant renders them, except that a name which is not there is an error.
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined)


def render(template: str, payload: str, value_json: Any) -> str:
    """Render a template as Home Assistant does with a message."""
    rendered = _ENVIRONMENT.from_string(template)
    return rendered.render(value=payload, value_json=value_json).strip()


def _template(text: str) -> str:
    try:
        _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as exc:
        raise ValueError(f"no template: {exc}") from exc
    return text


def _one_of(names: str) -> Any:
    return Annotated[str, Field(pattern=f"^({'|'.join(names.split())})$")]


Text = Annotated[str, Field(min_length=1)]
Template = Annotated[Text, AfterValidator(_template)]
Topic = Annotated[str, Field(pattern=r"^[^#+\x00]+$", max_length=65535)]
Url = Annotated[str, Field(pattern=r"^(https?|homeassistant)://[^/\s]+")]
Key = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Device(Strict):
    identifiers: list[Text] = Field(min_length=1)
    name: Text
    manufacturer: Text | None = None
    model: Text | None = None
    sw_version: Text | None = None
    hw_version: Text | None = None
    serial_number: Text | None = None
    suggested_area: Text | None = None
    configuration_url: Url | None = None


class Origin(Strict):
    name: Text
    sw_version: Text | None = None
    support_url: Url | None = None


class Availability(Strict):
    topic: Topic
    payload_available: Text = "online"
    payload_not_available: Text = "offline"
    value_template: Template | None = None


class Entity(Strict):
    unique_id: Text
    name: Text | None
    qos: Literal[0, 1, 2] = 0
    availability: list[Availability] | None = None
    availability_mode: Literal["all", "any", "latest"] = "latest"
    entity_category: Literal["config", "diagnostic"] | None = None
    enabled_by_default: bool = True
    icon: Annotated[str, Field(pattern=r"^mdi:[a-z0-9-]+$")] | None = None
    json_attributes_topic: Topic | None = None
    json_attributes_template: Template | None = None


class Sensor(Entity):
    platform: Literal["sensor"]
    state_topic: Topic
    value_template: Template | None = None
    device_class: _one_of(_SENSORS) | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = None
    unit_of_measurement: Text | None = None
    options: list[Text] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check_class(self) -> Self:
        if (self.options is None) != (self.device_class != "enum"):
            raise ValueError("options go with the device class enum")
        if self.device_class and (self.state_class or self.unit_of_measurement):
            raise ValueError(f"{self.device_class} is no number")
        return self


class BinarySensor(Entity):
    platform: Literal["binary_sensor"]
    state_topic: Topic
    value_template: Template | None = None
    device_class: _one_of(_BINARY_SENSORS) | None = None
    payload_on: Text = "ON"
    payload_off: Text = "OFF"


class Switch(Entity):
    platform: Literal["switch"]
    command_topic: Topic
    state_topic: Topic | None = None
    value_template: Template | None = None
    device_class: _one_of(_SWITCHES) | None = None
    payload_on: Text = "ON"
    payload_off: Text = "OFF"
    retain: bool = False


class TextField(Entity):
    platform: Literal["text"]
    command_topic: Topic
    command_template: Template | None = None
    state_topic: Topic | None = None
    value_template: Template | None = None
    min: int = Field(default=0, ge=0)
    max: int = Field(default=MAX_STATE, le=MAX_STATE)
    retain: bool = False

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min has to be below max")
        return self


class Event(Entity):
    platform: Literal["event"]
    state_topic: Topic
    value_template: Template | None = None
    event_types: list[Text] = Field(min_length=1)
    device_class: _one_of(_EVENTS) | None = None


class Image(Entity):
    platform: Literal["image"]
    image_topic: Topic
    content_type: Annotated[str, Field(pattern=r"^image/[a-z+.-]+$")] = "image/jpeg"
    image_encoding: Literal["b64"] | None = None


Component = Annotated[
    Sensor | BinarySensor | Switch | TextField | Event | Image,
    Field(discriminator="platform"),
]


class DiscoveryMessage(Strict):
    device: Device
    origin: Origin
    components: dict[Key, Component] = Field(min_length=1)
    availability: list[Availability] | None = None
    availability_mode: Literal["all", "any", "latest"] = "latest"

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        ids = [entity.unique_id for entity in self.components.values()]
        if len(set(ids)) < len(ids):
            raise ValueError("two entities share a unique_id")
        return self


def validate(message: Mapping[str, Any]) -> DiscoveryMessage:
    """Read a message as Home Assistant would.

    Raises:
        pydantic.ValidationError: Home Assistant would not show all of it.
    """
    return DiscoveryMessage.model_validate(message)
