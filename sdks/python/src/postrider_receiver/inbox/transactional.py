"""The mode `transactional`: inbox row and effect are committed together, or neither is."""

import time
from collections.abc import Callable
from typing import Any

from postrider_receiver.calling import Returned, call
from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.base import SOURCE, Inbox, checked_status, log
from postrider_receiver.inbox.delivered import Delivered, delivered
from postrider_receiver.inbox.record import Failed
from postrider_receiver.inbox.store import TransactionalStore

TransactionalHandler = Callable[[WebhookEvent, Any], Returned]


class TransactionalInbox(Inbox[TransactionalStore]):
    """Hands each new event to `handler(event, transaction)`, whose writes through `transaction`
    happen exactly once, whatever crashes when.

    The transaction is the driver's own connection: `sqlite3.Connection` or `psycopg.Connection`.
    The handler neither commits nor rolls back: it returns None or a 2xx status to be stored and
    answered to every repeat, or raises, and then nothing has happened and the sender tries again.
    """

    def __init__(
        self,
        store: TransactionalStore,
        handler: TransactionalHandler,
        *,
        consumer: str,
        source: str = SOURCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(store, source=source, consumer=consumer, now=now)
        self._handler = handler

    def deliver(self, event: WebhookEvent) -> Delivered:
        """Handles a verified event, unless it was handled before."""
        arrival = self.arrival(event)

        def handler(transaction: Any) -> int:
            return checked_status(call(lambda: self._handler(event, transaction)))

        try:
            outcome = self._store.process(arrival, handler, self.now_ms())
        except Exception:  # noqa: BLE001 - whatever a handler raises is a failure
            log.exception("event %r failed", event.id)
            return delivered(Failed())
        self.report(arrival, outcome)
        return delivered(outcome)
