from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from agent.http.openapi import build_document
from agent.http.routes import ROUTES

METHODS = {"get", "post", "put", "delete"}


def schema_of(path: str, method: str) -> dict[str, Any]:
    document = build_document()
    good = document["paths"][path][method]["responses"]["200"]
    schema = good["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


def test_the_document_is_a_valid_one():
    document = build_document()
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert errors == []
    assert list(OpenAPIV31SpecValidator({**document, "info": {}}).iter_errors())


def test_every_route_is_in_it_and_nothing_else():
    described = {
        (path, method)
        for path, methods in build_document()["paths"].items()
        for method in METHODS.intersection(methods)
    }
    served = {
        (route.path, method.lower())
        for route in ROUTES
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert described == served


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/healthz", "/healthz"),
        ("/api/health", "/api/health"),
        ("/api/cameras", "/api/cameras"),
        ("/api/timeline", "/api/timeline?camera=door"),
        ("/api/openapi.json", "/api/openapi.json"),
        ("/v1/models", "/v1/models"),
    ],
)
async def test_what_is_given_is_as_described(serve: Callable, path: str, asked: str):
    async with serve() as client:
        found = await client.get(asked)
    assert found.status_code == 200
    jsonschema.validate(found.json(), schema_of(path, "get"))


async def test_answers_and_evidence_are_as_described(serve: Callable):
    body = {"question": "where did #47 come from ?", "cameras": ["door"]}
    chat = {"model": "door", "messages": [{"role": "user", "content": "where ?"}]}
    async with serve() as client:
        answer = (await client.post("/api/ask", json=body)).json()
        jsonschema.validate(answer, schema_of("/api/ask", "post"))
        found = answer["evidence"][0]
        path = "/api/evidence/{camera}/{chunk}"
        shown = (await client.get(path.format(**found))).json()
        jsonschema.validate(shown, schema_of(path, "get"))
        said = (await client.post("/v1/chat/completions", json=chat)).json()
        jsonschema.validate(said, schema_of("/v1/chat/completions", "post"))
        refused = (await client.post("/api/ask", json={})).json()
        schemas = build_document()["components"]["schemas"]
        jsonschema.validate(refused, schemas["Error"])
