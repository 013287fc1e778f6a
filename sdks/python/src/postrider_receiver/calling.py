"""Calls handlers, which may be plain functions or coroutine functions."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Returned = int | Awaitable[int | None] | None

# The event loop of the application that this thread works for
_loop: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("postrider_loop", default=None)


@contextmanager
def on_this_loop() -> Iterator[None]:
    """Within it, threads that inherit the context run coroutines on the loop running here."""
    token = _loop.set(asyncio.get_running_loop())
    try:
        yield
    finally:
        _loop.reset(token)


def call(handler: Callable[[], Returned]) -> int | None:
    """Calls a handler from a thread without a running loop, and waits for what it returns."""
    returned = handler()
    if not isinstance(returned, Awaitable):
        return returned
    loop = _loop.get()
    if loop is None:
        return asyncio.run(_wait(returned))
    return asyncio.run_coroutine_threadsafe(_wait(returned), loop).result()


async def _wait(returned: Awaitable[int | None]) -> int | None:
    return await returned
