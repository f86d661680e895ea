"""Questions: asked, answered at once or as the answer comes, called off."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.errors import InvalidQuestionError
from agent.http.answers import json_response
from agent.http.errors import ApiError, not_allowed
from agent.http.house import House
from agent.http.requests import body_of, house_of, rights_of
from agent.http.settings import Rights
from agent.http.streams import EventStream, event, is_gone
from agent.messages import Answer, Question, Understood, to_iso
from agent.progress import Progress
from agent.questions import parse_question
from ingest.reader_process import outlast

WIND_UP_S = 1.0  # for the last event to be sent when the server stops
_STATUSES = {
    "empty": 400,
    "too_long": 400,
    "cancelled": 409,
    "too_many_questions": 429,
    "too_often": 429,
    "failed": 500,
    "archive_unavailable": 503,
    "out_of_memory": 503,
    "shutting_down": 503,
    "timeout": 504,
}


async def ask(request: Request) -> Response:
    """Answer a question, at once or piece by piece."""
    house, rights = house_of(request), rights_of(request)
    question = read_question(house, rights, await body_of(request))
    accepted = request.headers.get("accept", "")
    if question.stream or "text/event-stream" in accepted:
        question = replace(question, stream=True)
        events = _events(house, question, rights)
        return EventStream(events, house.stopping, wind_up_s=WIND_UP_S)
    answer = await answer_while_there(request, question)
    return json_response(house.tell_answer(answer), status_of(answer))


async def cancel(request: Request) -> Response:
    """Call a question off."""
    rights = rights_of(request)
    if not rights.ask:
        raise not_allowed("ask")
    is_off = house_of(request).cancel(request.path_params["id"], rights)
    return json_response({"cancelled": is_off})


def read_question(house: House, rights: Rights, body: bytes) -> Question:
    """Read a question, as `docs/protocol.md` has it as JSON.

    Raises:
        ApiError: It can't be read, or may not be asked.
    """
    rules = house.rules_for(rights)
    if not body.lstrip().startswith(b"{"):
        raise ApiError(400, "not_json", "the body has to be a JSON object")
    try:
        question = parse_question(body, rules)
    except InvalidQuestionError as exc:
        status = 413 if exc.code == "too_long" else 400
        raise ApiError(status, exc.code, exc.reason) from exc
    if question.reply.topic != f"{rules.prefix}/answers/{question.id}":
        message = "response_topic is for questions over MQTT"
        raise ApiError(400, "unknown_field", message)
    return question


async def answer_while_there(request: Request, question: Question) -> Answer:
    """Answer a question; a client that hangs up calls it off."""
    house, rights = house_of(request), rights_of(request)
    asking = asyncio.create_task(
        house.ask(question, rights, Progress()), name="agent.http.ask"
    )
    gone = asyncio.create_task(is_gone(request.receive), name="agent.http.gone")
    try:
        await asyncio.wait({asking, gone}, return_when="FIRST_COMPLETED")
        if not asking.done():
            raise ApiError(400, "bad_request", "the client has gone")
    finally:
        asking.cancel()
        gone.cancel()
        await outlast(asking)
    return asking.result()


def status_of(answer: Answer) -> int:
    """Give the status of the response that an answer is sent with."""
    return _STATUSES.get(answer.error.code, 400) if answer.error else 200


async def _events(
    house: House, question: Question, rights: Rights
) -> AsyncGenerator[bytes]:
    """Yield what is understood, what is said, and last the whole answer."""
    understood = house.desk.understand(question).understood
    if understood is not None:
        yield event("understood", _tell_understood(understood))
    async for item in follow(house, question, rights):
        if isinstance(item, Answer):
            yield event("answer", house.tell_answer(item))
        else:
            yield event("delta", item)


async def follow(
    house: House, question: Question, rights: Rights
) -> AsyncGenerator[dict[str, Any] | Answer]:
    """Yield an answer's text as it comes, and last the answer."""
    progress = Progress(is_streamed=True)
    asking = asyncio.create_task(
        house.ask(question, rights, progress), name="agent.http.ask"
    )
    try:
        async for delta in progress.deltas():
            yield {"seq": delta.seq, "text": delta.text}
        await asyncio.wait([asking])
        yield asking.result()
    finally:
        asking.cancel()
        await outlast(asking)


def _tell_understood(understood: Understood) -> dict[str, str | None]:
    start_s, end_s = understood.start_s, understood.end_s
    return {
        "from": None if start_s is None else to_iso(start_s),
        "to": None if end_s is None else to_iso(end_s),
        "words": understood.words,
    }


ROUTES = (
    Route("/api/ask", ask, methods=["POST"]),
    Route("/api/ask/{id}/cancel", cancel, methods=["POST"]),
)
