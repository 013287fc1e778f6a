"""Every script of `vectors/inbox.json` and `vectors/locks.json`, on every store."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import vectors
from conftest import MakeStore
from vectors import Case

from postrider_receiver import QueuedInbox, WebhookEvent
from postrider_receiver.inbox import queued, record
from postrider_receiver.inbox.delivered import delivered, lost
from postrider_receiver.inbox.leased import LEASE_SECONDS
from postrider_receiver.inbox.record import (
    Arrival,
    Claimed,
    Consumer,
    Dead,
    Done,
    Failed,
    Key,
    New,
    Pending,
    Running,
)

STORES = {
    "leased": ["memory", "sqlite", "postgres", "redis"],
    "queued": ["memory", "sqlite", "postgres", "redis"],
    "transactional": ["sqlite", "postgres"],
}
KEY = vectors.value("inbox", "key")


def scripts() -> list[Any]:
    return [
        pytest.param(case, store, id=f"{store}-{case['mode']}-{case['name']}")
        for case in vectors.cases("inbox", "cases")
        for store in STORES[case["mode"]]
        if store in case.get("stores", [store])
    ]


@pytest.mark.parametrize(("case", "store_name"), scripts())
def test_inbox(case: Case, store_name: str, make_store: MakeStore) -> None:
    assert case["retention_ms"] == record.RETENTION_MS
    script = InboxScript(make_store(store_name), case)
    for step in case["steps"]:
        found = script.run(step)
        expected = step["expect"]
        assert {name: found.get(name) for name in expected} == expected, step


class InboxScript:
    """One fresh store, and what the steps of a script do with it."""

    def __init__(self, store: Any, case: Case) -> None:
        self._store = store
        self._lease_ms: int = case["lease_ms"]
        self._delays_ms: list[int] = case["retry_delays_ms"]
        self._is_queued = case["mode"] == "queued"
        self._claimed: dict[str, Claimed] = {}
        self._tokens = 0
        if case["mode"] == "transactional":
            with store._writing() as transaction:
                transaction.run("CREATE TABLE effect (event TEXT NOT NULL)")

    def run(self, step: Case) -> Case:
        operation: Callable[[Case, int], Case] = getattr(self, f"_{step['op']}")
        return operation(step, step["at_ms"])

    def _claim(self, step: Case, now_ms: int) -> Case:
        outcome = self._store.claim(self._arrival(step), self._token(), self._lease_ms, now_ms)
        return self._told(step, outcome)

    def _accept(self, step: Case, now_ms: int) -> Case:
        return self._told(step, self._store.accept(self._arrival(step), now_ms))

    def _take(self, step: Case, now_ms: int) -> Case:
        attempts_max = len(self._delays_ms) + 1
        outcome = self._store.take(
            self._consumer(step), self._token(), self._lease_ms, attempts_max, now_ms
        )
        return {"outcome": "empty"} if outcome is None else self._told(step, outcome)

    def _heartbeat(self, step: Case, now_ms: int) -> Case:
        claimed = self._claimed[step["token"]]
        is_held = self._store.heartbeat(claimed, self._lease_ms, now_ms)
        return {"outcome": "held" if is_held else "lost"}

    def _finish(self, step: Case, now_ms: int) -> Case:
        claimed = self._claimed[step["token"]]
        is_held = self._store.finish(claimed, step["status"], now_ms)
        return {"outcome": "finished" if is_held else "lost"}

    def _fail(self, step: Case, now_ms: int) -> Case:
        claimed = self._claimed[step["token"]]
        left: Failed | Pending | Dead = Failed()
        if self._is_queued:
            inbox = QueuedInbox(
                self._store,
                lambda _event, _lease: None,
                consumer=claimed.key.consumer.name,
                retry_delays_seconds=[delay / 1_000 for delay in self._delays_ms],
                now=lambda: now_ms / 1_000,
            )
            left = inbox._left_by_failure(claimed)
        if not self._store.fail(claimed, step["error"], left, now_ms):
            return {"outcome": "lost"}
        return {"outcome": type(left).__name__.lower(), **asdict(left)}

    def _process(self, step: Case, now_ms: int) -> Case:
        arrival = self._arrival(step)

        def handler(connection: Any) -> int:
            connection.execute(f"INSERT INTO effect VALUES ('{step['id']}')")
            if step["handler"] == "throws":
                raise HandlerError
            return int(step["handler"])

        try:
            outcome = self._store.process(arrival, handler, now_ms)
        except HandlerError:
            return {"outcome": "failed"}
        return self._told(step, outcome)

    def _effects(self, _step: Case, _now_ms: int) -> Case:
        with self._store._reading() as transaction:
            return {"effects": [event for (event,) in transaction.run("SELECT event FROM effect")]}

    def _stats(self, step: Case, now_ms: int) -> Case:
        return asdict(self._store.stats(self._consumer(step), now_ms))

    def _reprocess(self, step: Case, now_ms: int) -> Case:
        return {"outcome": self._store.reprocess(self._key(step), now_ms)}

    def _forget(self, step: Case, _now_ms: int) -> Case:
        return {"outcome": "forgotten" if self._store.forget(self._key(step)) else "absent"}

    def _purge(self, _step: Case, now_ms: int) -> Case:
        return {"removed": self._store.purge(now_ms)}

    def _told(self, step: Case, outcome: Any) -> Case:
        match outcome:
            case Claimed(key=key, event=event, attempt=attempt):
                self._claimed[step.get("as", "")] = outcome
                return {
                    "outcome": "claimed",
                    "id": event.id,
                    "body": event.body.decode(),
                    "attempt": attempt,
                    "effect_key": key.effect_key,
                }
            case _:
                return {"outcome": delivered(outcome).outcome, **asdict(outcome)}

    def _arrival(self, step: Case) -> Arrival:
        event = WebhookEvent(step["id"], 0, vectors.content(step, "body"))
        return Arrival(self._key(step), event, step.get("order_key"))

    def _key(self, step: Case) -> Key:
        return Key(self._consumer(step), step["id"])

    def _consumer(self, step: Case) -> Consumer:
        return Consumer(step.get("source", KEY["source"]), step.get("consumer", KEY["consumer"]))

    def _token(self) -> str:
        self._tokens += 1
        return str(self._tokens)


class HandlerError(Exception):
    pass


def test_answers_are_those_of_the_vectors() -> None:
    answers = vectors.value("inbox", "answers")
    outcomes = (record.Accepted(), Running(3), Failed(), Dead(), record.OtherBody())
    for found in [*(delivered(outcome) for outcome in outcomes), lost(3)]:
        expected = answers.pop(found.outcome)
        assert found.status == expected["status"]
        assert (found.retry_after_seconds == 3) == expected.get("retry_after", False)
    assert answers == {"new": {"status": "handler"}, "done": {"status": "stored"}}
    assert delivered(New(204)).status == 204
    assert delivered(Done(201)).status == 201


def test_defaults_are_those_of_the_vectors() -> None:
    assert vectors.value("inbox", "defaults") == {
        "retention_ms": record.RETENTION_MS,
        "retention_ms_min": record.RETENTION_MS_MIN,
        "lease_ms": LEASE_SECONDS * 1_000,
        "retry_delays_ms": [delay * 1_000 for delay in queued.RETRY_DELAYS_SECONDS],
    }


@pytest.mark.parametrize("store_name", ["memory", "sqlite", "postgres", "redis"])
@pytest.mark.parametrize("case", vectors.cases("locks", "cases"), ids=vectors.name_of)
def test_locks(case: Case, store_name: str, make_store: MakeStore) -> None:
    script = LockScript(make_store(store_name))
    for step in case["steps"]:
        script.check(step)


class LockScript:
    def __init__(self, store: Any) -> None:
        self._store = store
        # by the names of tokens: the key and the fence
        self._held: dict[str, tuple[str, int]] = {}
        self._attempts = 0

    def check(self, step: Case) -> None:
        expected = dict(step["expect"])
        match step["op"]:
            case "acquire":
                # a token that nobody names is somebody else's each time
                self._attempts += 1
                token = step.get("as", str(self._attempts))
                found = self._store.acquire(step["key"], token, step["ttl_ms"], step["at_ms"])
                if isinstance(found, Running):
                    told: Case = {"outcome": "held_elsewhere", **asdict(found)}
                else:
                    former = expected.pop("fence_above")
                    assert former is None or found > self._held[former][1], step
                    self._held[token] = (step["key"], found)
                    told = {"outcome": "acquired"}
            case "extend":
                key, _ = self._held[step["token"]]
                is_held = self._store.extend(key, step["token"], step["ttl_ms"], step["at_ms"])
                told = {"outcome": "held" if is_held else "lost"}
            case _:
                key, _ = self._held[step["token"]]
                is_released = self._store.release(key, step["token"])
                told = {"outcome": "released" if is_released else "lost"}
        assert told == expected, step
