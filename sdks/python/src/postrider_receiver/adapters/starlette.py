"""For Starlette and FastAPI.

The receiver runs in a thread, so that its store does not hold up the event loop; handlers that are
coroutine functions run on the loop.
"""

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from postrider_receiver.calling import on_this_loop
from postrider_receiver.receiver import Answer, Receiver


def endpoint(receiver: Receiver) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for POST: `app.add_api_route(path, endpoint(receiver), methods=["POST"])` in
    FastAPI, `Route(path, endpoint(receiver), methods=["POST"])` in Starlette."""

    async def receive(request: Request) -> Response:
        answer = await _answer_to(receiver, request)
        return Response(answer.body, answer.status, answer.headers)

    return receive


async def _answer_to(receiver: Receiver, request: Request) -> Answer:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > receiver.body_bytes_max:
            return receiver.refuse_long_body()
    with on_this_loop():
        return await run_in_threadpool(receiver.handle, bytes(body), request.headers.raw)
