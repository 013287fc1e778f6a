"""Threads that run what is due, until they are stopped."""

import threading
from collections.abc import Callable
from types import TracebackType

from postrider_receiver.inbox.base import log


class Worker:
    """Runs `run_next`, which says whether there was anything, in several threads at once. An error
    of the store is logged, and looked over at the next poll."""

    def __init__(
        self, run_next: Callable[[], bool], *, concurrency: int, poll_seconds: float
    ) -> None:
        self._run_next = run_next
        self._poll_seconds = poll_seconds
        self._is_stopping = False
        self._woken = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, name=f"postrider-worker-{number}", daemon=True)
            for number in range(concurrency)
        ]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Ends an idle wait: something may be due."""
        self._woken.set()

    def stop(self) -> None:
        """Takes nothing more, and waits until what runs has ended."""
        self._is_stopping = True
        self.wake()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _loop(self) -> None:
        while not self._is_stopping:
            # what becomes due during the look is looked for again at once
            self._woken.clear()
            if not self._has_run() and not self._is_stopping:
                self._woken.wait(self._poll_seconds)
        # the next of several that wait for the same signal
        self._woken.set()

    def _has_run(self) -> bool:
        try:
            return self._run_next()
        except Exception:  # noqa: BLE001 - a store may raise anything, and come back
            log.exception("the inbox could not be reached")
            return False
