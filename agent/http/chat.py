"""The API of OpenAI's clients: a camera is a model, a question is the last message.

What of a request has no meaning here (temperature, tools, a system message) is passed
over, so that clients which always send it can be used.
"""

import json
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.conversations import MAX_TURNS
from agent.http.answers import json_response, to_json
from agent.http.asking import (
    WIND_UP_S,
    answer_while_there,
    follow,
    read_question,
    status_of,
)
from agent.http.errors import ApiError
from agent.http.house import House
from agent.http.requests import house_of, object_of, rights_of
from agent.http.settings import Rights
from agent.http.streams import EventStream
from agent.messages import Answer, Question
from agent.vlm.generation import Turn

ALL = "longwatch"  # the model that is all cameras
_OWN_FIELDS = frozenset({"from", "to", "top_k", "deadline_s"})


async def models(request: Request) -> Response:
    """Give the cameras that may be seen, as models."""
    names = (ALL, *house_of(request).cameras(rights_of(request)))
    fields = {"object": "model", "created": 0, "owned_by": "longwatch"}
    return json_response(
        {"object": "list", "data": [{"id": name, **fields} for name in names]}
    )


async def complete(request: Request) -> Response:
    """Answer the last message, at once or piece by piece."""
    house, rights = house_of(request), rights_of(request)
    body = await object_of(request)
    question = _read(house, rights, body)
    model = body["model"]
    if not question.stream:
        answer = await answer_while_there(request, question)
        if answer.error:
            raise ApiError(status_of(answer), answer.error.code, answer.error.message)
        return json_response(_completion(house, model, answer))
    options = body.get("stream_options")
    has_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    chunks = _chunks(house, rights, question, model, has_usage=has_usage)
    return EventStream(chunks, house.stopping, wind_up_s=WIND_UP_S)


def _read(house: House, rights: Rights, body: Mapping[str, Any]) -> Question:
    """Read the question of a request.

    Raises:
        ApiError: There is none, or it may not be asked.
    """
    model = body.get("model")
    if model != ALL and model not in house.cameras(rights):
        message = f"no model {str(model)[:64]!a}"
        raise ApiError(404, "model_not_found", message)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "bad_field", "messages is a list of at least one")
    said = [(_role(message), _text(message)) for message in messages]
    spoken = [each for each in said if each[0] in {"user", "assistant"}]
    if not spoken or spoken[-1][0] != "user":
        raise ApiError(400, "bad_field", "the last message has to be the user's")
    own = body.get("longwatch") or {}
    if not isinstance(own, dict) or not set(own) <= _OWN_FIELDS:
        allowed = ", ".join(sorted(_OWN_FIELDS))
        raise ApiError(400, "bad_field", f"longwatch is an object with {allowed}")
    asked = {"question": spoken[-1][1], "stream": bool(body.get("stream")), **own}
    if model != ALL:
        asked["cameras"] = [model]
    question = read_question(house, rights, json.dumps(asked).encode())
    return replace(question, earlier=_turns(spoken[:-1]))


def _role(message: object) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str):
        raise ApiError(400, "bad_field", "a message is an object with role and content")
    return role


def _text(message: Mapping[str, Any]) -> str:
    """Give the text of a message, whose parts may be told one by one."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    if len(texts) < len(parts) or not all(isinstance(text, str) for text in texts):
        raise ApiError(400, "bad_field", "only text can be asked with")
    return "\n".join(text for text in texts if isinstance(text, str))


def _turns(spoken: list[tuple[str, str]]) -> tuple[Turn, ...]:
    """Give the questions that were answered, with their answers, the newest."""
    turns = [
        (question, answer)
        for (asker, question), (answerer, answer) in pairwise(spoken)
        if (asker, answerer) == ("user", "assistant")
    ]
    return tuple(turns[-MAX_TURNS:])


def _completion(house: House, model: str, answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.answer, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        **_head(answer.id, "chat.completion", model),
        "choices": [choice],
        "usage": _usage(answer),
        "longwatch": house.tell_answer(answer),
    }


def _usage(answer: Answer) -> dict[str, int]:
    read, said = answer.tokens.get("context", 0), answer.tokens.get("answer", 0)
    return {
        "prompt_tokens": read,
        "completion_tokens": said,
        "total_tokens": read + said,
    }


async def _chunks(
    house: House, rights: Rights, question: Question, model: str, *, has_usage: bool
) -> AsyncGenerator[bytes]:
    """Yield the text as it comes, then why it ended, with the evidence."""
    head = _head(question.id, "chat.completion.chunk", model)
    if has_usage:
        head["usage"] = None
    yield _chunk(head, {"role": "assistant", "content": ""})
    text = ""
    async for item in follow(house, question, rights):
        if isinstance(item, dict):
            begins_anew = item["seq"] == 0 and text
            text = item["text"] if begins_anew else text + item["text"]
            said = "\n" + item["text"] if begins_anew else item["text"]
            yield _chunk(head, {"content": said})
        elif item.error:
            error = {"code": item.error.code, "message": item.error.message}
            yield _data({"error": error})
            return
        else:
            if not text and item.answer:  # it was said without the model
                yield _chunk(head, {"content": item.answer})
            told = {**head, "longwatch": house.tell_answer(item)}
            yield _chunk(told, {}, "stop")
            if has_usage:
                yield _data({**head, "choices": [], "usage": _usage(item)})
    yield b"data: [DONE]\n\n"


def _head(question_id: str, kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{question_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _chunk(
    head: Mapping[str, Any], delta: Mapping[str, str], finish: str | None = None
) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _data({**head, "choices": [choice]})


def _data(body: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % to_json(body)


ROUTES = (
    Route("/v1/models", models, methods=["GET"]),
    Route("/v1/chat/completions", complete, methods=["POST"]),
)
