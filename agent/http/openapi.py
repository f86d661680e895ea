"""The API described for programs, as OpenAPI 3.1; a test holds it to the routes."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.http.access import COOKIE
from agent.http.answers import json_response
from agent.http.house import VERSION
from agent.http.openapi_schemas import MOMENT, SCHEMAS, Schema, many, of, record, ref

JSON, JPEG, FILM, EVENTS = (
    "application/json",
    "image/jpeg",
    "video/mp4",
    "text/event-stream",
)
_PUBLIC: Schema = {"security": []}
_PASSED = record({"token": of("string")})
_WATCHING = record({"watching": of("boolean")})
_COUNTS = of("object", additionalProperties={"type": "number"})


def _operation(
    words: str,
    gives: Mapping[str, Schema],
    *,
    takes: Schema | None = None,
    query: Sequence[Schema] = (),
    errors: Sequence[int] = (),
) -> Schema:
    """Describe what a method does.

    Args:
        words: What it does.
        gives: The content of a good response, by its type; none is an empty one.
        takes: The body, as JSON.
        query: Parameters of the query.
        errors: Statuses besides those that any request can end in.
    """
    content = {kind: {"schema": schema} for kind, schema in gives.items()}
    good = {"description": "as asked", **({"content": content} if content else {})}
    bad = {
        "description": "why not",
        "content": {JSON: {"schema": ref("Error")}},
    }
    told: Schema = {
        "summary": words,
        "responses": {
            "200" if content else "204": good,
            **{str(status): bad for status in sorted({401, 403, 429, *errors})},
        },
    }
    if takes is not None:
        body = {"required": True, "content": {JSON: {"schema": takes}}}
        told |= {"requestBody": body}
    return told | ({"parameters": list(query)} if query else {})


def _query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


_TIMES = [_query("from", MOMENT), _query("to", MOMENT)]
_FILM = {FILM: of("string", format="binary")}
_JPEG = {JPEG: of("string", format="binary")}
_EVENTS = {EVENTS: of("string", "server-sent events")}

PATHS: Schema = {
    "/healthz": {
        "get": _operation(
            "Say that the agent lives", {JSON: record({"status": of("string")})}
        )
        | _PUBLIC
    },
    "/api/health": {"get": _operation("Tell how the agent is", {JSON: ref("Health")})},
    "/api/login": {
        "post": _operation(
            "Have a browser keep a cookie for a token",
            {JSON: record({"name": of("string")})},
            takes=_PASSED,
            errors=[400],
        )
        | _PUBLIC
    },
    "/api/logout": {
        "post": _operation("Have a browser forget it", {JSON: of("object")}) | _PUBLIC
    },
    "/api/cameras": {"get": _operation("Give the cameras", {JSON: ref("Cameras")})},
    "/api/cameras/{camera}/picture": {
        "get": _operation("Give a camera's newest picture", _JPEG, errors=[404])
    },
    "/api/cameras/{camera}/watching": {
        "post": _operation(
            "Pause a camera, or resume it",
            {JSON: _WATCHING},
            takes=_WATCHING,
            errors=[400, 404],
        )
    },
    "/api/timeline": {
        "get": _operation(
            "Tell what is remembered of a camera",
            {JSON: ref("Timeline")},
            query=[
                _query("camera", of("string"), required=True),
                *_TIMES,
                _query("buckets", of("integer", minimum=1, maximum=2000)),
            ],
            errors=[400, 404, 503],
        )
    },
    "/api/evidence/{camera}/{chunk}": {
        "get": _operation(
            "Tell what there is of a chunk", {JSON: ref("Chunk")}, errors=[404, 503]
        )
    },
    "/api/evidence/{camera}/{chunk}/picture": {
        "get": _operation("Give a chunk's picture", _JPEG, errors=[404, 503])
    },
    "/api/evidence/{camera}/{chunk}/film": {
        "get": _operation("Give the film of a chunk", _FILM, errors=[404, 416])
    },
    "/api/ask": {
        "post": _operation(
            "Answer a question, at once or as events",
            {JSON: ref("Answer")} | _EVENTS,
            takes=ref("Question"),
            errors=[400, 409, 413, 500, 503, 504],
        )
    },
    "/api/ask/{id}/cancel": {
        "post": _operation(
            "Call a question off", {JSON: record({"cancelled": of("boolean")})}
        )
    },
    "/api/events": {"get": _operation("Tell what happens, for ever", _EVENTS)},
    "/api/watch": {
        "get": _operation(
            "Give the standing questions",
            {JSON: record({"watches": many(ref("Watch")), "checks": _COUNTS})},
            errors=[503],
        )
    },
    "/api/watch/{camera}/{name}": {
        "put": _operation(
            "Set a standing question",
            {JSON: ref("Watch")},
            takes=ref("Wanted"),
            errors=[400, 404, 503],
        ),
        "delete": _operation("Remove a standing question", {}, errors=[404, 503]),
    },
    "/api/alerts": {
        "get": _operation(
            "Give what standing questions have found, newest first",
            {JSON: record({"alerts": many(ref("Alert"))})},
            query=[_query("camera", of("string")), *_TIMES],
            errors=[400, 404, 503],
        )
    },
    "/api/openapi.json": {
        "get": _operation("Give this description", {JSON: of("object")}) | _PUBLIC
    },
    "/v1/models": {
        "get": _operation("Give the cameras as models", {JSON: ref("Models")})
    },
    "/v1/chat/completions": {
        "post": _operation(
            "Answer the last message, at once or as events",
            {JSON: ref("Completion")} | _EVENTS,
            takes=ref("Chat"),
            errors=[400, 404, 409, 413, 500, 503, 504],
        )
    },
}


def build_document() -> Schema:
    """Build the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Longwatch", "version": VERSION},
        "paths": {
            path: {**methods, **_path_parameters(path)}
            for path, methods in PATHS.items()
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
        "security": [{"token": []}, {"cookie": []}],
    }


def _path_parameters(path: str) -> dict[str, Any]:
    parts = path.split("/")
    names = [part.strip("{}") for part in parts if part.startswith("{")]
    told = [
        {"name": name, "in": "path", "required": True, "schema": of("string")}
        for name in names
    ]
    return {"parameters": told} if told else {}


async def document(_request: Request) -> Response:
    """Give the document."""
    return json_response(build_document())


ROUTES = (Route("/api/openapi.json", document, methods=["GET"]),)
