"""The mode `queued`: stored durably and answered at once, run by a worker."""

import time
from collections.abc import Callable, Sequence

from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.base import SOURCE, Inbox
from postrider_receiver.inbox.delivered import Delivered, delivered
from postrider_receiver.inbox.heartbeat import checked_lease_ms
from postrider_receiver.inbox.leased import LEASE_SECONDS, LeasedHandler, made_token, run_claimed
from postrider_receiver.inbox.record import Accepted, Claimed, Dead, Pending, Reprocessed
from postrider_receiver.inbox.store import LeaseStore
from postrider_receiver.inbox.worker import Worker

# Ten attempts over half a day; the default of all SDKs
RETRY_DELAYS_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)


class QueuedInbox(Inbox[LeaseStore]):
    """Stores each new event, answers 202, and lets workers hand it to `handler(event, lease)`.

    Workers run in this process (`inbox.start()`) or in others, on the same store. An event whose
    handler raises is tried again after each of `retry_delays_seconds`, and is dead after that.
    Events for which `order_key` gives the same text run one at a time, in the order of arrival.
    """

    def __init__(
        self,
        store: LeaseStore,
        handler: LeasedHandler,
        *,
        consumer: str,
        source: str = SOURCE,
        order_key: Callable[[WebhookEvent], str | None] = lambda _event: None,
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(store, source=source, consumer=consumer, now=now)
        self._handler = handler
        self._order_key = order_key
        self._retry_delays_seconds = retry_delays_seconds
        self._lease_ms = checked_lease_ms(lease_seconds)
        self._workers: list[Worker] = []

    def deliver(self, event: WebhookEvent) -> Delivered:
        """Stores a verified event for a worker, unless it is known."""
        arrival = self.arrival(event, self._order_key(event))
        outcome = self._store.accept(arrival, self.now_ms())
        if isinstance(outcome, Accepted):
            self._wake()
        self.report(arrival, outcome)
        return delivered(outcome)

    def start(self, *, concurrency: int = 4, poll_seconds: float = 1) -> Worker:
        """Starts a worker in this process: `stop` it in the end, or use it as a context.

        It runs up to `concurrency` events at a time, and sees within `poll_seconds` what other
        processes accept.
        """
        worker = Worker(self.run_next, concurrency=concurrency, poll_seconds=poll_seconds)
        self._workers.append(worker)
        return worker

    def run_next(self) -> bool:
        """Runs one event that is due; False when there was none. For workers by a timer."""
        claimed = self._store.take(
            self.consumer,
            made_token(),
            self._lease_ms,
            len(self._retry_delays_seconds) + 1,
            self.now_ms(),
        )
        if claimed is None:
            return False
        run_claimed(
            self._store,
            claimed,
            self._handler,
            self._lease_ms,
            lambda: self._left_by_failure(claimed),
            self.now_ms,
        )
        return True

    def reprocess(self, event_id: str) -> Reprocessed:
        reprocessed = super().reprocess(event_id)
        self._wake()
        return reprocessed

    def _wake(self) -> None:
        for worker in self._workers:
            worker.wake()

    def _left_by_failure(self, claimed: Claimed) -> Pending | Dead:
        if claimed.attempt > len(self._retry_delays_seconds):
            return Dead()
        delay_ms = int(self._retry_delays_seconds[claimed.attempt - 1] * 1_000)
        return Pending(self.now_ms() + delay_ms)
