"""The shapes of what the API takes and gives, as JSON Schemas."""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]


def of(kind: str, words: str = "", **more: Any) -> Schema:
    """Describe a value; a kind that ends in ? may be null."""
    kinds = [kind.removesuffix("?"), "null"] if kind.endswith("?") else kind
    told = {"description": words} if words else {}
    return {"type": kinds, **told, **more}


def record(fields: Schema, *, needed: Sequence[str] | None = None) -> Schema:
    """Describe an object; all of its fields are there unless told otherwise."""
    names = list(fields) if needed is None else list(needed)
    return {"type": "object", "properties": fields, "required": names}


def many(schema: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    """Point to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


TIME = of("string", "ISO 8601, UTC", format="date-time")
MOMENT = {"type": ["string", "number"], "description": "ISO 8601 or Unix seconds"}
NAME = of("string", pattern="^[A-Za-z0-9_.~:@-]{1,64}$")
LINK = of("string?", "a path on this server")
_SPAN = {"start": TIME, "end": TIME}

ERROR = record(
    {"error": record({"code": of("string"), "message": of("string")})},
)
QUESTION = {
    **record(
        {
            "question": of("string", "what is asked"),
            "id": NAME,
            "cameras": many(of("string")),
            "from": MOMENT,
            "to": MOMENT,
            "deadline_s": of("number", exclusiveMinimum=0, maximum=3600),
            "top_k": of("integer", minimum=1, maximum=64),
            "conversation": NAME,
            "stream": of("boolean", "whether to send events", default=False),
        },
        needed=["question"],
    ),
    "additionalProperties": False,
}
EVIDENCE = record(
    {
        "camera": of("string"),
        "chunk": of("string"),
        **_SPAN,
        "score": of("number"),
        "level": of("string", enum=["high", "low"]),
        "film": of("string?", "the file on the agent's machine"),
        "picture": LINK,
        "film_url": LINK,
    }
)
ANSWER = record(
    {
        "id": of("string"),
        "question": of("string"),
        "answer": of("string"),
        "status": of("string", enum=["ok", "partial", "no_coverage", "error"]),
        "degraded": many(of("string")),
        "evidence": many(ref("Evidence")),
        "coverage": record(
            {
                "watched": many(record({"camera": of("string"), **_SPAN})),
                "gaps": many(
                    record({"camera": of("string"), **_SPAN, "kind": of("string")})
                ),
            }
        ),
        "understood": {
            **of("object?"),
            "properties": {
                "from": of("string?"),
                "to": of("string?"),
                "words": of("string?"),
            },
        },
        "timings_ms": of("object", additionalProperties={"type": "number"}),
        "tokens": of("object", additionalProperties={"type": "integer"}),
        "model": of("string"),
        "error": {"anyOf": [{"type": "null"}, ERROR["properties"]["error"]]},
    }
)
CAMERA = record(
    {
        "name": of("string"),
        "state": of(
            "string",
            enum=["starting", "online", "stalled", "offline", "paused", "ended"],
        ),
        "last_frame": of("string?"),
        "error": of("string?"),
        "chunks": of("integer"),
        "dropped": of("integer"),
        "reconnects": of("integer"),
        "last_chunk": of("string"),
        "resident_tokens": of("integer"),
        "picture": LINK,
    }
)
CAMERAS = record(
    {
        "cameras": many(ref("Camera")),
        "model": of("string"),
        "can": record({n: of("boolean") for n in ("ask", "watch", "pause")}),
    }
)
HEALTH = record(
    {
        "status": of("string"),
        "version": of("string"),
        "model": of("string"),
        "model_is_trained": of("boolean"),
        "archive_is_away": of("boolean"),
        "broker_is_connected": of("boolean"),
        "loaded": of("number", minimum=0, maximum=1),
        "cameras": of("object", additionalProperties={"type": "integer"}),
    }
)
ALERT = record(
    {"camera": of("string"), "name": of("string"), **_SPAN, "time": TIME},
    needed=["camera", "name"],
)
TIMELINE = record(
    {
        "camera": of("string"),
        "from": TIME,
        "to": TIME,
        "watched": many(record(_SPAN)),
        "gaps": many(record({**_SPAN, "kind": of("string")})),
        "chunks": many(
            record(
                {
                    "chunk": of("string"),
                    **_SPAN,
                    "level": of("string", enum=["low", "high", "summary"]),
                }
            )
        ),
        "alerts": many(ref("Alert")),
        "is_thinned": of("boolean", "more chunks than are told"),
        "is_whole": of("boolean", "false: memory is being loaded, or away"),
    }
)
CHUNK = record(
    {
        "camera": of("string"),
        "chunk": of("string"),
        **_SPAN,
        "picture": LINK,
        "film": LINK,
        "film_offset_s": of("number?"),
    }
)
WATCH = record({"camera": of("string"), "name": of("string"), "question": of("string")})
WANTED = record(
    {
        "question": of("string", "answered by yes or no"),
        "cooldown_s": of("number", minimum=0),
        "margin": of("number"),
    },
    needed=["question"],
)
CHAT = record(
    {
        "model": of("string", "a camera, or longwatch for all of them"),
        "messages": many(record({"role": of("string"), "content": {}})),
        "stream": of("boolean"),
        "longwatch": of("object", "from, to, top_k, deadline_s of a question"),
    },
    needed=["model", "messages"],
)
COMPLETION = record(
    {
        "id": of("string"),
        "object": of("string"),
        "created": of("integer"),
        "model": of("string"),
        "choices": many(of("object")),
        "usage": of("object"),
        "longwatch": ref("Answer"),
    }
)
MODELS = record({"object": of("string"), "data": many(record({"id": of("string")}))})

SCHEMAS: Schema = {
    "Error": ERROR,
    "Question": QUESTION,
    "Evidence": EVIDENCE,
    "Answer": ANSWER,
    "Camera": CAMERA,
    "Cameras": CAMERAS,
    "Health": HEALTH,
    "Alert": ALERT,
    "Timeline": TIMELINE,
    "Chunk": CHUNK,
    "Watch": WATCH,
    "Wanted": WANTED,
    "Chat": CHAT,
    "Completion": COMPLETION,
    "Models": MODELS,
}
