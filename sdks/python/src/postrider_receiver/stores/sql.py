"""The rules of an inbox in SQL, for SQLite and PostgreSQL alike.

`SqlStore` knows what to run; the store of a driver opens transactions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from postrider_receiver.event import WebhookEvent
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
    retention_ms,
    retry_after_seconds,
)
from postrider_receiver.stores import statements

Row = tuple[Any, ...]


class Transaction(Protocol):
    """An open transaction."""

    def run(self, statement: str, **parameters: Any) -> list[Row]: ...

    def handed_over(self) -> AbstractContextManager[Any]:
        """What a handler gets: the driver's connection, for the length of the context."""


class SqlStore(ABC):
    """An inbox and locks in two tables beside your own, `postrider_inbox` and `postrider_lock`."""

    # how the row that a worker takes is kept from other workers
    _lock_row = ""

    def __init__(self, retention_days: float) -> None:
        self._retention_ms = retention_ms(retention_days)

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """A transaction that is committed when its context is left without an exception."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction]: ...

    @abstractmethod
    def _try_to_own(self, transaction: Transaction, key: Key) -> bool:
        """Keeps an event to this transaction; False when another has it."""

    @abstractmethod
    def _own_order(self, transaction: Transaction, arrival: Arrival) -> None:
        """Waits until no other transaction is accepting an event of the same order key."""

    def process(
        self, arrival: Arrival, handler: Callable[[Any], int], now_ms: int
    ) -> New | Done | Running | OtherBody:
        with self._writing() as transaction:
            if not self._try_to_own(transaction, arrival.key):
                return Running(1)
            while not transaction.run(statements.PROCESS, **_arrived(arrival), now_ms=now_ms):
                found = standing(transaction, arrival, now_ms)
                if isinstance(found, (Done, Running, OtherBody)):
                    return found
            with transaction.handed_over() as connection:
                status = handler(connection)
            if status != statements.STATUS:
                transaction.run(statements.SET_STATUS, **_named(arrival.key), status=status)
            return New(status)

    def claim(
        self, arrival: Arrival, token: str, lease_ms: int, now_ms: int
    ) -> Claimed | Running | Done | OtherBody:
        claim = _arrived(arrival) | {"token": token, "lease_ends_at_ms": now_ms + lease_ms}
        with self._writing() as transaction:
            while not (rows := transaction.run(statements.CLAIM, **claim, now_ms=now_ms)):
                found = standing(transaction, arrival, now_ms)
                if isinstance(found, (Done, Running, OtherBody)):
                    return found
        return Claimed(arrival.key, arrival.event, token, attempt=rows[0][0])

    def accept(self, arrival: Arrival, now_ms: int) -> Accepted | Done | Dead | OtherBody:
        accept = _arrived(arrival) | {
            "order_key": arrival.order_key,
            "body": arrival.event.body,
            "signed_at_seconds": arrival.event.signed_at_seconds,
            "server_host": arrival.event.server_host,
        }
        with self._writing() as transaction:
            if arrival.order_key is not None:
                self._own_order(transaction, arrival)
            while not transaction.run(statements.ACCEPT, **accept, now_ms=now_ms):
                match standing(transaction, arrival, now_ms):
                    case Done() | Dead() | OtherBody() as found:
                        return found
                    case Running() | Pending():
                        return Accepted()
        return Accepted()

    def take(
        self, consumer: Consumer, token: str, lease_ms: int, attempts_max: int, now_ms: int
    ) -> Claimed | None:
        whose = {"source": consumer.source, "consumer": consumer.name, "now_ms": now_ms}
        with self._writing() as transaction:
            transaction.run(statements.BURY, **whose, attempts_max=attempts_max)
            rows = transaction.run(
                statements.TAKE.format(lock_row=self._lock_row),
                **whose,
                token=token,
                lease_ends_at_ms=now_ms + lease_ms,
            )
        if not rows:
            return None
        event_id, body, signed_at_seconds, server_host, attempt = rows[0]
        event = WebhookEvent(event_id, signed_at_seconds, body, server_host)
        return Claimed(Key(consumer, event_id), event, token, attempt)

    def heartbeat(self, claimed: Claimed, lease_ms: int, now_ms: int) -> bool:
        return self._is_changed(
            statements.HEARTBEAT, **_held(claimed), lease_ends_at_ms=now_ms + lease_ms
        )

    def finish(self, claimed: Claimed, status: int, now_ms: int) -> bool:
        left = {"state": "done", "status": status, "error": None, "due_at_ms": None}
        return self._is_changed(statements.SETTLE, **_held(claimed), **left, now_ms=now_ms)

    def fail(
        self, claimed: Claimed, error: str, left: Failed | Pending | Dead, now_ms: int
    ) -> bool:
        return self._is_changed(
            statements.SETTLE,
            **_held(claimed),
            state=type(left).__name__.lower(),
            status=None,
            error=error,
            due_at_ms=left.due_at_ms if isinstance(left, Pending) else None,
            now_ms=now_ms,
        )

    def stats(self, consumer: Consumer, _now_ms: int) -> Stats:
        with self._reading() as transaction:
            rows = transaction.run(statements.STATS, source=consumer.source, consumer=consumer.name)
        return Stats(**{row[0]: row[1] for row in rows})

    def reprocess(self, key: Key, now_ms: int) -> Reprocessed:
        with self._writing() as transaction:
            if transaction.run(statements.REPROCESS, **_named(key), now_ms=now_ms):
                return "reprocessed"
            return "running" if transaction.run(statements.FIND, **_named(key)) else "absent"

    def forget(self, key: Key) -> bool:
        return self._is_changed(statements.FORGET, **_named(key))

    def purge(self, now_ms: int) -> int:
        with self._writing() as transaction:
            return len(transaction.run(statements.PURGE, settled_by_ms=now_ms - self._retention_ms))

    def acquire(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> int | Running:
        wanted = {"key": lock_key, "token": token, "ends_at_ms": now_ms + ttl_ms}
        with self._writing() as transaction:
            while True:
                if rows := transaction.run(statements.ACQUIRE, **wanted, now_ms=now_ms):
                    return int(rows[0][0])
                if rows := transaction.run(statements.LOCK_END, key=lock_key):
                    return Running(retry_after_seconds(rows[0][0], now_ms))

    def extend(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> bool:
        return self._is_changed(
            statements.EXTEND, key=lock_key, token=token, ends_at_ms=now_ms + ttl_ms
        )

    def release(self, lock_key: str, token: str) -> bool:
        return self._is_changed(statements.RELEASE, key=lock_key, token=token)

    def _is_changed(self, statement: str, **parameters: Any) -> bool:
        with self._writing() as transaction:
            return bool(transaction.run(statement, **parameters))


def standing(
    transaction: Transaction, arrival: Arrival, now_ms: int
) -> Done | Running | Pending | Dead | Failed | OtherBody | None:
    """How an event stands that is known; None when it was removed meanwhile."""
    rows = transaction.run(statements.FIND, **_named(arrival.key))
    if not rows:
        return None
    state, body_sha256, status, due_at_ms, lease_ends_at_ms = rows[0]
    if body_sha256 != arrival.body_sha256:
        return OtherBody()
    match state:
        case "done":
            return Done(status)
        case "running":
            return Running(retry_after_seconds(lease_ends_at_ms, now_ms))
        case "pending":
            return Pending(due_at_ms)
        case "dead":
            return Dead()
        case _:
            return Failed()


def _named(key: Key) -> dict[str, Any]:
    return {
        "source": key.consumer.source,
        "consumer": key.consumer.name,
        "id": key.event_id,
    }


def _held(claimed: Claimed) -> dict[str, Any]:
    return _named(claimed.key) | {"token": claimed.token}


def _arrived(arrival: Arrival) -> dict[str, Any]:
    return _named(arrival.key) | {
        "body_sha256": arrival.body_sha256,
    }
