"""What an inbox asks of a store: domain verbs, each one atomic step.

Times are milliseconds since 1970 and come from the caller. Stores are thread-safe.
"""

from collections.abc import Callable
from typing import Any, Protocol

from postrider_receiver.inbox.record import (
    Accepted,
    Arrival,
    Claimed,
    Consumer,
    Dead,
    Done,
    Failed,
    Key,
    New,
    OtherBody,
    Pending,
    Reprocessed,
    Running,
    Stats,
)


class TransactionEnded(Exception):
    """A handler tried to begin, commit or roll back what the inbox has to."""

    def __init__(self) -> None:
        super().__init__(
            "a handler can't begin, commit or roll back the transaction that the inbox hands it"
            " (`with connection:` and `executescript` do so too); let it return, or raise"
        )


class Store(Protocol):
    """What all modes need, and operators."""

    def stats(self, consumer: Consumer, now_ms: int) -> Stats: ...

    def reprocess(self, key: Key, now_ms: int) -> Reprocessed:
        """Lets an event run again: by a worker if its body is stored, else by its next delivery.
        Refused while it runs."""

    def forget(self, key: Key) -> bool:
        """Removes an event, whatever its state; False when there was none."""

    def purge(self, now_ms: int) -> int:
        """Removes what was settled a retention ago, of every consumer; says how many."""


class LeaseStore(Store, Protocol):
    """For the modes `leased` and `queued`. A lease has ended at the very millisecond of its end;
    until somebody else takes over, its token may still finish or revive it."""

    def claim(
        self, arrival: Arrival, token: str, lease_ms: int, now_ms: int
    ) -> Claimed | Running | Done | OtherBody: ...

    def accept(self, arrival: Arrival, now_ms: int) -> Accepted | Done | Dead | OtherBody: ...

    def take(
        self, consumer: Consumer, token: str, lease_ms: int, attempts_max: int, now_ms: int
    ) -> Claimed | None:
        """Claims the event accepted first among those that are due and whose order key has no
        earlier unfinished one. A lease that ended with the last attempt makes an event dead."""

    def heartbeat(self, claimed: Claimed, lease_ms: int, now_ms: int) -> bool:
        """Lets the lease end so long from now; False when it is lost."""

    def finish(self, claimed: Claimed, status: int, now_ms: int) -> bool:
        """False when the lease is lost."""

    def fail(
        self, claimed: Claimed, error: str, left: Failed | Pending | Dead, now_ms: int
    ) -> bool:
        """False when the lease is lost."""


class TransactionalStore(Store, Protocol):
    """For the mode `transactional`."""

    def process(
        self, arrival: Arrival, handler: Callable[[Any], int], now_ms: int
    ) -> New | Done | Running | OtherBody:
        """Calls the handler with a transaction that also holds the inbox's row, and commits both.
        What the handler raises comes through, after everything was rolled back."""


class LockStore(Protocol):
    """For locks."""

    def acquire(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> int | Running:
        """The fence, higher than every one before of this key; or for how long it is held."""

    def extend(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> bool:
        """False when another has it, or it was released."""

    def release(self, lock_key: str, token: str) -> bool:
        """False when another has it, or it was released before."""
