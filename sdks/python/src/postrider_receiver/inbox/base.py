"""What the three modes share: whose inbox it is, and the operators' verbs."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.record import Arrival, Consumer, Key, OtherBody, Reprocessed, Stats
from postrider_receiver.inbox.store import Store

SOURCE = "postrider"

S = TypeVar("S", bound=Store)

log = logging.getLogger("postrider_receiver")


class Inbox(Generic[S]):
    """Remembers the events of a `source` (a sender's name of your choice) that a `consumer` (the
    purpose they are handled for) has seen, in a store."""

    def __init__(self, store: S, *, source: str, consumer: str, now: Callable[[], float]) -> None:
        self.consumer = Consumer(source, consumer)
        self._store = store
        self._now = now

    def stats(self) -> Stats:
        """How many events there are in each state."""
        return self._store.stats(self.consumer, self.now_ms())

    def reprocess(self, event_id: str) -> Reprocessed:
        """Lets an event run again: by a worker if its body is stored (queued), else by its next
        delivery. Refused (`running`) while it runs."""
        return self._store.reprocess(Key(self.consumer, event_id), self.now_ms())

    def forget(self, event_id: str) -> bool:
        """Removes an event, so that its id is new again; False when there was none."""
        return self._store.forget(Key(self.consumer, event_id))

    def purge(self) -> int:
        """Removes what was settled a retention ago, of every consumer of the store; says how many.
        Run it now and then."""
        return self._store.purge(self.now_ms())

    def now_ms(self) -> int:
        return int(self._now() * 1_000)

    def arrival(self, event: WebhookEvent, order_key: str | None = None) -> Arrival:
        return Arrival(Key(self.consumer, event.id), event, order_key)

    def report(self, arrival: Arrival, outcome: object) -> None:
        """What somebody should look at: a sender's mistake, or a forgery with a leaked secret."""
        if isinstance(outcome, OtherBody):
            log.warning("event %r came again with another body", arrival.key.event_id)


def checked_status(returned: int | None) -> int:
    """A handler's status; None is 200."""
    if returned is None:
        return 200
    if not 200 <= returned <= 299:
        raise ValueError(
            f"a handler returned the status {returned}; return 2xx or None, and raise to fail"
        )
    return returned
