from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from agent.http.house import House
from agent.http.settings import Rights, Token

ASKED = [{"role": "user", "content": "where did #47 come from ?"}]
GUEST = Token("g" * 20, Rights("guest", frozenset({"yard"})))


@asynccontextmanager
async def client_of(
    client: httpx2.AsyncClient, token: str = "none"
) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=token, base_url=client.base_url.join("/v1"), max_retries=0, timeout=10
    ) as known:
        yield known


async def test_cameras_are_models(serve: Callable):
    async with serve() as client, client_of(client) as known:
        assert [model.id async for model in known.models.list()] == [
            "longwatch",
            "door",
            "yard",
        ]
    async with (
        serve(tokens=[GUEST]) as client,
        client_of(client, GUEST.secret) as known,
    ):
        assert [model.id async for model in known.models.list()] == [
            "longwatch",
            "yard",
        ]
        with pytest.raises(openai.NotFoundError):
            await known.chat.completions.create(model="door", messages=ASKED)


async def test_a_message_is_answered_with_its_evidence(serve: Callable):
    asked = {"question": ASKED[0]["content"], "cameras": ["door"]}
    async with serve() as client, client_of(client) as known:
        answer = (await client.post("/api/ask", json=asked)).json()
        found = await known.chat.completions.create(
            model="door",
            messages=[{"role": "system", "content": "Be brief."}, *ASKED],
            temperature=0.5,
        )
    [choice] = found.choices
    assert (choice.message.content, choice.finish_reason) == (answer["answer"], "stop")
    assert found.usage.prompt_tokens == answer["tokens"]["context"]
    assert found.usage.completion_tokens == answer["tokens"]["answer"]
    assert found.longwatch["evidence"] == answer["evidence"]


async def test_a_streamed_answer_is_the_same(serve: Callable):
    async with serve() as client, client_of(client) as known:
        whole = await known.chat.completions.create(model="door", messages=ASKED)
        stream = await known.chat.completions.create(
            model="door",
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    *pieces, last, usage = chunks
    said = "".join(chunk.choices[0].delta.content for chunk in pieces)
    assert said == whole.choices[0].message.content
    assert last.choices[0].finish_reason == "stop"
    assert last.longwatch["evidence"] == whole.longwatch["evidence"]
    assert usage.usage == whole.usage
    assert usage.choices == []


async def test_what_is_said_without_the_model_is_streamed_too(serve: Callable):
    async with serve() as client, client_of(client) as known:
        stream = await known.chat.completions.create(
            model="yard",
            messages=ASKED,
            stream=True,
            extra_body={"longwatch": {"from": 1, "to": 2}},
        )
        chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == "Nothing was watched then."
    assert chunks[-1].longwatch["status"] == "no_coverage"


async def test_earlier_messages_are_the_conversation(
    serve: Callable, house_of: Callable[..., House], monkeypatch: pytest.MonkeyPatch
):
    house = house_of()
    heard: list[Any] = []
    ask = house.desk.ask

    async def listen(question: Any, progress: Any) -> Any:
        heard.append(question)
        return await ask(question, progress)

    monkeypatch.setattr(house.desk, "ask", listen)
    parts = [{"type": "text", "text": "and"}, {"type": "text", "text": "then ?"}]
    async with serve(house) as client, client_of(client) as known:
        await known.chat.completions.create(
            model="longwatch",
            messages=[
                {"role": "user", "content": "lost"},
                {"role": "user", "content": "who came ?"},
                {"role": "assistant", "content": "a dog"},
                {"role": "user", "content": parts},
            ],
        )
    [question] = heard
    assert (question.text, question.cameras) == ("and\nthen ?", ())
    assert question.earlier == (("who came ?", "a dog"),)


async def test_an_error_has_its_code(
    serve: Callable, house_of: Callable[..., House], slow: Any
):
    short = {"extra_body": {"longwatch": {"deadline_s": 0.001}}}
    async with serve() as client, client_of(client) as known:
        create = known.chat.completions.create
        with pytest.raises(openai.InternalServerError) as caught:
            await create(model="door", messages=ASKED, **short)
        assert (caught.value.status_code, caught.value.code) == (504, "timeout")
        stream = await create(model="door", messages=ASKED, stream=True, **short)
        with pytest.raises(openai.APIError) as broken:
            [chunk async for chunk in stream]
        assert broken.value.code == "timeout"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": []},
        {"messages": "who ?"},
        {"messages": ["who ?"]},
        {"messages": [{"role": "assistant", "content": "a"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"longwatch": {"colour": 1}},
    ],
)
async def test_a_malformed_request_is_refused(serve: Callable, change: dict[str, Any]):
    async with serve() as client:
        body = {"model": "door", "messages": ASKED, **change}
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] in {"bad_field", "empty"}
