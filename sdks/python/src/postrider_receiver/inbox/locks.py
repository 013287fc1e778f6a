"""Locks for what two different events share."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from postrider_receiver.inbox.heartbeat import Heartbeat, LeaseLost, checked_lease_ms
from postrider_receiver.inbox.leased import made_token
from postrider_receiver.inbox.record import Running
from postrider_receiver.inbox.store import LockStore

# Between two tries to get a lock that another holds
_RETRY_SECONDS = 0.1


class LockHeld(Exception):
    """Another holds the lock."""

    def __init__(self, key: str, retry_after_seconds: int) -> None:
        super().__init__(f"another holds the lock {key!r}; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Lock:
    """A lock that is held."""

    def __init__(self, fence: int, heartbeat: Heartbeat) -> None:
        self.fence = fence
        """Higher than that of every former holder: pass it along with each write, and let what is
        downstream refuse lower ones than it has seen."""
        self._heartbeat = heartbeat

    @property
    def is_lost(self) -> bool:
        """Whether another may hold the lock by now."""
        return self._heartbeat.is_lost

    def wait_until_lost(self, timeout_seconds: float | None = None) -> bool:
        """Waits for the signal that the lock is lost; False when the time is over before."""
        return self._heartbeat.wait_until_lost(timeout_seconds)

    def check(self) -> None:
        """Raises `LeaseLost` when the lock is lost; call it before each effect."""
        self._heartbeat.check()


@contextmanager
def with_lock(
    store: LockStore,
    key: str,
    ttl_seconds: float,
    *,
    wait_seconds: float = 0,
    now: Callable[[], float] = time.time,
) -> Iterator[Lock]:
    """Holds the lock of a key for the context, extending it for as long as the process lives.

    Raises `LockHeld` when another has it still after `wait_seconds`, and `LeaseLost` in the end
    when it was lost before. A holder that crashes or stalls loses it after `ttl_seconds`.
    """
    token = made_token()
    ttl_ms = checked_lease_ms(ttl_seconds)

    def now_ms() -> int:
        return int(now() * 1_000)

    give_up_at = time.monotonic() + wait_seconds
    while isinstance(fence := store.acquire(key, token, ttl_ms, now_ms()), Running):
        if time.monotonic() >= give_up_at:
            raise LockHeld(key, fence.retry_after_seconds)
        time.sleep(_RETRY_SECONDS)
    is_ours = False
    try:
        with Heartbeat(lambda: store.extend(key, token, ttl_ms, now_ms()), ttl_ms) as held:
            yield Lock(fence, held)
    finally:
        is_ours = store.release(key, token)
    if not is_ours:
        raise LeaseLost
