"""An inbox in this process's memory: best effort. A restart forgets everything, and other
processes see nothing of it; for tests, and where a repeated effect does no harm."""

import threading
from dataclasses import dataclass

from postrider_receiver.inbox.record import (
    Accepted,
    Arrival,
    Claimed,
    Consumer,
    Dead,
    Done,
    Failed,
    Key,
    OtherBody,
    Pending,
    Reprocessed,
    Running,
    State,
    Stats,
    retention_ms,
    retry_after_seconds,
)

_SETTLED = ("done", "failed", "dead")
_UNFINISHED = ("pending", "running")


@dataclass
class _Row:
    arrival: Arrival
    state: State
    changed_at_ms: int
    is_queued: bool = False
    attempts: int = 0
    status: int = 0
    token: str | None = None
    # when a pending event may be taken, or a running one's lease ends
    due_at_ms: int = 0

    def is_free(self, now_ms: int) -> bool:
        """Whether its next delivery may claim it."""
        return self.state != "done" and (self.state != "running" or self.due_at_ms <= now_ms)

    def lease(self, token: str, lease_ms: int, now_ms: int) -> Claimed:
        self.state = "running"
        self.attempts += 1
        self.token = token
        self.due_at_ms = now_ms + lease_ms
        return Claimed(self.arrival.key, self.arrival.event, token, self.attempts)

    def settle(self, state: State, now_ms: int, due_at_ms: int = 0) -> None:
        self.state = state
        self.token = None
        self.due_at_ms = due_at_ms
        self.changed_at_ms = now_ms


@dataclass
class _LockRow:
    fence: int
    token: str | None
    until_ms: int


class MemoryStore:
    """For the modes `leased` and `queued`, and for locks."""

    def __init__(self, *, retention_days: float = 30) -> None:
        self._retention_ms = retention_ms(retention_days)
        # in the order in which events were accepted
        self._rows: dict[Key, _Row] = {}
        self._locks: dict[str, _LockRow] = {}
        self._mutex = threading.RLock()

    def claim(
        self, arrival: Arrival, token: str, lease_ms: int, now_ms: int
    ) -> Claimed | Running | Done | OtherBody:
        with self._mutex:
            row = self._rows.setdefault(arrival.key, _Row(arrival, "failed", now_ms))
            if row.arrival.body_sha256 != arrival.body_sha256:
                return OtherBody()
            if row.state == "done":
                return Done(row.status)
            if not row.is_free(now_ms):
                return Running(retry_after_seconds(row.due_at_ms, now_ms))
            return row.lease(token, lease_ms, now_ms)

    def accept(self, arrival: Arrival, now_ms: int) -> Accepted | Done | Dead | OtherBody:
        with self._mutex:
            row = self._rows.setdefault(arrival.key, _Row(arrival, "failed", now_ms))
            if row.arrival.body_sha256 != arrival.body_sha256:
                return OtherBody()
            if row.state == "done":
                return Done(row.status)
            if row.state == "dead":
                return Dead()
            if row.state == "failed":
                row.arrival = arrival
                row.is_queued = True
                row.attempts = 0
                row.settle("pending", now_ms, due_at_ms=now_ms)
            return Accepted()

    def take(
        self, consumer: Consumer, token: str, lease_ms: int, attempts_max: int, now_ms: int
    ) -> Claimed | None:
        with self._mutex:
            busy_orders: set[str] = set()
            for key, row in self._rows.items():
                if key.consumer != consumer or not row.is_queued or row.state not in _UNFINISHED:
                    continue
                is_due = row.due_at_ms <= now_ms
                if is_due and row.state == "running" and row.attempts >= attempts_max:
                    row.settle("dead", now_ms)
                    continue
                order_key = row.arrival.order_key
                if is_due and order_key not in busy_orders:
                    return row.lease(token, lease_ms, now_ms)
                if order_key is not None:
                    busy_orders.add(order_key)
            return None

    def heartbeat(self, claimed: Claimed, lease_ms: int, now_ms: int) -> bool:
        with self._mutex:
            row = self._held(claimed)
            if row is not None:
                row.due_at_ms = now_ms + lease_ms
            return row is not None

    def finish(self, claimed: Claimed, status: int, now_ms: int) -> bool:
        with self._mutex:
            row = self._held(claimed)
            if row is not None:
                row.status = status
                row.settle("done", now_ms)
            return row is not None

    def fail(
        self, claimed: Claimed, _error: str, left: Failed | Pending | Dead, now_ms: int
    ) -> bool:
        with self._mutex:
            row = self._held(claimed)
            match row, left:
                case None, _:
                    return False
                case _, Pending(due_at_ms):
                    row.settle("pending", now_ms, due_at_ms)
                case _, Dead():
                    row.settle("dead", now_ms)
                case _:
                    row.settle("failed", now_ms)
            return True

    def stats(self, consumer: Consumer, _now_ms: int) -> Stats:
        with self._mutex:
            states = [row.state for key, row in self._rows.items() if key.consumer == consumer]
        return Stats(**{state: states.count(state) for state in set(states)})

    def reprocess(self, key: Key, now_ms: int) -> Reprocessed:
        with self._mutex:
            row = self._rows.get(key)
            if row is None:
                return "absent"
            if row.state == "running":
                return "running"
            row.attempts = 0
            row.settle("pending" if row.is_queued else "failed", now_ms, due_at_ms=now_ms)
            return "reprocessed"

    def forget(self, key: Key) -> bool:
        with self._mutex:
            return self._rows.pop(key, None) is not None

    def purge(self, now_ms: int) -> int:
        settled_by_ms = now_ms - self._retention_ms
        with self._mutex:
            outlived = [
                key
                for key, row in self._rows.items()
                if row.state in _SETTLED and row.changed_at_ms <= settled_by_ms
            ]
            for key in outlived:
                del self._rows[key]
            return len(outlived)

    def acquire(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> int | Running:
        with self._mutex:
            row = self._locks.setdefault(lock_key, _LockRow(0, None, now_ms))
            if row.token is not None and row.until_ms > now_ms:
                return Running(retry_after_seconds(row.until_ms, now_ms))
            row.fence += 1
            row.token = token
            row.until_ms = now_ms + ttl_ms
            return row.fence

    def extend(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> bool:
        with self._mutex:
            row = self._locks.get(lock_key)
            if row is None or row.token != token:
                return False
            row.until_ms = now_ms + ttl_ms
            return True

    def release(self, lock_key: str, token: str) -> bool:
        with self._mutex:
            row = self._locks.get(lock_key)
            if row is None or row.token != token:
                return False
            row.token = None
            return True

    def _held(self, claimed: Claimed) -> _Row | None:
        row = self._rows.get(claimed.key)
        return row if row is not None and row.token == claimed.token else None
