"""Keeps something held by renewing it, and says when it is lost."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

_log = logging.getLogger("postrider_receiver")

# Renewing three times in a lease survives one renewal that fails
_RENEWALS_PER_LEASE = 3


class LeaseLost(Exception):
    """Somebody else may hold it by now: whatever is done from here on may be done twice."""

    def __init__(self) -> None:
        super().__init__("the lease was taken over, or could not be kept")


class Heartbeat:
    """Calls `renew` in a thread of its own, from entering the context to leaving it.

    It is lost when `renew` says so, or could not be asked for a whole lease.
    """

    def __init__(self, renew: Callable[[], bool], lease_seconds: float) -> None:
        self.lost = threading.Event()
        """Set once the lease is lost."""
        self._renew = renew
        self._lease_seconds = lease_seconds
        self._held_until = time.monotonic() + lease_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postrider-heartbeat", daemon=True)

    def check(self) -> None:
        """Raises `LeaseLost` once the lease is lost; call it before each effect."""
        if self.lost.is_set() or time.monotonic() >= self._held_until:
            self.lost.set()
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
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._lease_seconds / _RENEWALS_PER_LEASE):
            asked_at = time.monotonic()
            try:
                is_held = self._renew()
            except Exception:  # noqa: BLE001 - a store may raise anything, and the lease runs on
                _log.exception("a lease could not be renewed")
                is_held = time.monotonic() < self._held_until
            else:
                self._held_until = asked_at + self._lease_seconds
            if not is_held:
                self.lost.set()
                return
