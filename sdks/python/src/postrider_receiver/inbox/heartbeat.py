"""Keeps something held by renewing it, and says when it is lost."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

_log = logging.getLogger("postrider_receiver")

# Three heartbeats fit into a lease, so that one may fail
_BEATS_PER_LEASE = 3


class LeaseLost(Exception):
    """Somebody else may hold it by now: whatever is done from here on may be done twice."""

    def __init__(self) -> None:
        super().__init__("the lease was taken over, or could not be kept")


def checked_lease_ms(seconds: float) -> int:
    """A lease as stores count it; refuses one that would be over at once."""
    ms = int(seconds * 1_000)
    if ms <= 0:
        raise ValueError("a lease lasts for a positive number of seconds")
    return ms


class Heartbeat:
    """Calls `renew` in a thread of its own while its context lasts.

    The lease is lost when `renew` says so, or has not said otherwise for as long as it lasts.
    """

    def __init__(self, renew: Callable[[], bool], lease_ms: int) -> None:
        self._renew = renew
        self._lease_seconds = lease_ms / 1_000
        self._held_until = time.monotonic() + self._lease_seconds
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postrider-heartbeat", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may hold it by now."""
        if time.monotonic() >= self._held_until:
            self._lost.set()
        return self._lost.is_set()

    def wait_until_lost(self, timeout_seconds: float | None = None) -> bool:
        """Waits for the signal that it is lost; False when the time is over before."""
        give_up_at = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self.is_lost:
            # a heartbeat under way may never come back
            end = self._held_until
            if give_up_at is not None:
                end = min(end, give_up_at)
            self._lost.wait(max(0, end - time.monotonic()))
            if give_up_at is not None and time.monotonic() >= give_up_at:
                return self.is_lost
        return True

    def check(self) -> None:
        """Raises `LeaseLost` when it is lost."""
        if self.is_lost:
            raise LeaseLost

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        # a heartbeat under way must not follow the finish
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._lease_seconds / _BEATS_PER_LEASE):
            asked_at = time.monotonic()
            try:
                is_held = self._renew()
            except Exception:  # noqa: BLE001 - a store may raise anything, and the lease runs on
                _log.exception("a lease could not be renewed")
                is_held = not self.is_lost
            else:
                self._held_until = asked_at + self._lease_seconds
            if not is_held:
                self._lost.set()
                return
