"""Answers, and the adapters that give them in a framework's types."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.test import Client
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Route

from postrider_receiver import (
    Answer,
    Lease,
    LeasedInbox,
    QueuedInbox,
    Receiver,
    Verifier,
    WebhookEvent,
    sign,
)
from postrider_receiver.adapters import aws_lambda
from postrider_receiver.adapters import django as for_django
from postrider_receiver.adapters import flask as for_flask
from postrider_receiver.adapters import starlette as for_starlette
from postrider_receiver.stores.memory import MemoryStore

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# not what a framework would make of it again
BODY = '{ "type": "code.generated", "data": {"note": "é"} }'.encode()

# Sends a request to an adapter: its answer's status, headers and body
Send = Callable[[bytes, dict[str, str]], tuple[int, dict[str, str], bytes]]


def headers(body: bytes = BODY, event_id: str = "evt_1", **changed: str) -> dict[str, str]:
    now_ms = int(time.time() * 1_000)
    signed = sign(body, event_id=event_id, secrets=SECRET, now_ms=now_ms)
    return {"content-type": "application/json"} | signed | changed


def receiver(handler: Any = lambda _event, _lease: 201) -> Receiver:
    return Receiver(Verifier(SECRET), LeasedInbox(MemoryStore(), handler, consumer="test"))


def with_starlette(receiver: Receiver) -> Send:
    route = Route("/hooks", for_starlette.endpoint(receiver), methods=["POST"])
    return sent_to(Starlette(routes=[route]))


def with_fastapi(receiver: Receiver) -> Send:
    app = FastAPI()
    app.add_api_route("/hooks", for_starlette.endpoint(receiver), methods=["POST"])
    return sent_to(app)


def sent_to(app: Any) -> Send:
    async def post(body: bytes, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/hooks", content=body, headers=headers)

    def send(body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        response = asyncio.run(post(body, headers))
        return response.status_code, dict(response.headers), response.content

    return send


def with_flask(receiver: Receiver) -> Send:
    app = Flask("test")
    app.add_url_rule("/hooks", view_func=for_flask.view(receiver), methods=["POST"])

    def send(body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        response = app.test_client().post("/hooks", data=body, headers=headers)
        told = {name.lower(): value for name, value in response.headers.items()}
        return response.status_code, told, response.get_data()

    return send


def with_django(receiver: Receiver) -> Send:
    if not settings.configured:
        middleware = ["django.middleware.csrf.CsrfViewMiddleware"]
        settings.configure(ROOT_URLCONF="test_urls", MIDDLEWARE=middleware, ALLOWED_HOSTS=["*"])
        django.setup()
    urls = ModuleType("test_urls")
    urls.urlpatterns = [path("hooks", for_django.view(receiver))]  # type: ignore[attr-defined]
    sys.modules["test_urls"] = urls
    django.urls.clear_url_caches()
    client = Client(enforce_csrf_checks=True)

    def send(body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        response = client.post(
            "/hooks", body, content_type=headers["content-type"], headers=headers
        )
        told = {name.lower(): value for name, value in response.headers.items()}
        return response.status_code, told, response.content

    return send


def with_lambda(receiver: Receiver) -> Send:
    def send(body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        told = aws_lambda.handler(receiver)(
            {"body": body.decode(), "headers": headers, "isBase64Encoded": False}, None
        )
        return told["statusCode"], told["headers"], told["body"].encode()

    return send


def with_load_balancer(receiver: Receiver) -> Send:
    def send(body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        told = aws_lambda.handler(receiver)(
            {
                "body": base64.b64encode(body).decode(),
                "multiValueHeaders": {name.title(): [value] for name, value in headers.items()},
                "isBase64Encoded": True,
            },
            None,
        )
        return told["statusCode"], told["headers"], told["body"].encode()

    return send


ADAPTERS = [
    with_starlette,
    with_fastapi,
    with_flask,
    with_django,
    with_lambda,
    with_load_balancer,
]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_gets_the_raw_body_right(adapter: Callable[[Receiver], Send]) -> None:
    handled: list[WebhookEvent] = []

    def handler(event: WebhookEvent, _lease: Lease) -> int:
        handled.append(event)
        return 201

    send = adapter(receiver(handler))
    status, told, body = send(BODY, headers())
    assert (status, body) == (201, b'{"outcome": "new"}')
    assert told["content-type"] == "application/json"
    status, _, body = send(BODY, headers())
    assert (status, body) == (201, b'{"outcome": "done"}')
    assert [event.body for event in handled] == [BODY]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_gives_the_answers_of_the_receiver(
    adapter: Callable[[Receiver], Send],
) -> None:
    def handler(event: WebhookEvent, _lease: Lease) -> int:
        match event.id:
            case "repeats":
                # while it runs
                found.append(send(BODY, headers(event_id="repeats")))
                return 200
            case "fails":
                raise OSError("no disk")
        return 204

    found: list[tuple[int, dict[str, str], bytes]] = []
    send = adapter(receiver(handler))

    status, _, body = send(BODY, headers() | {"webhook-signature": "v1,AAAA"})
    assert (status, json.loads(body)) == (401, {"error": "no_match"})
    status, _, body = send(BODY, headers() | {"webhook-timestamp": "1"})
    assert (status, json.loads(body)) == (400, {"error": "too_old"})
    status, _, body = send(BODY, {"content-type": "application/json"})
    assert (status, json.loads(body)) == (401, {"error": "missing_header"})
    status, _, body = send(BODY, headers(event_id="fails"))
    assert (status, json.loads(body)) == (500, {"outcome": "failed"})
    status, told, body = send(BODY, headers(event_id="is quiet"))
    assert (status, body) == (204, b"")

    status, _, _ = send(BODY, headers(event_id="repeats"))
    assert status == 200
    [(status, told, body)] = found
    assert (status, json.loads(body)) == (409, {"outcome": "running"})
    assert 1 <= int(told["retry-after"]) <= 30

    other = b"{}"
    status, _, body = send(other, headers(other, event_id="repeats"))
    assert (status, json.loads(body)) == (422, {"outcome": "other_body"})
    long = b'"' + b"x" * 1_100_000 + b'"'
    status, _, body = send(long, headers(long))
    assert (status, json.loads(body)) == (413, {"error": "body_too_long"})


@pytest.mark.parametrize("adapter", [with_starlette, with_fastapi])
def test_a_coroutine_runs_on_the_application_s_loop(adapter: Callable[[Receiver], Send]) -> None:
    loops: list[Any] = []

    async def handler(_event: WebhookEvent, _lease: Lease) -> None:
        loops.append(asyncio.get_running_loop())
        # would never end on a loop that the receiver holds up
        await asyncio.sleep(0.001)

    send = adapter(receiver(handler))
    assert send(BODY, headers())[0] == 200
    assert len(loops) == 1


def test_a_receiver_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryStore):
        def accept(self, *_: object) -> Any:
            raise OSError("no network")

    inbox = QueuedInbox(Broken(), lambda _event, _lease: None, consumer="test")
    broken = Receiver(Verifier(SECRET), inbox)
    answer = broken.handle(BODY, headers())
    assert answer == Answer(
        500,
        {"retry-after": "5", "content-type": "application/json"},
        b'{"error": "inbox"}',
    )
    parsed: Any = {"parsed": True}
    assert broken.handle(parsed, headers()).body == b'{"error": "parsed_body"}'
    assert "await request.body()" in caplog.text
