"""The promise of the mode `transactional`: each event has its effect exactly once, whatever crashes
when."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import proofs
import pytest
from crash_receiver import SECRET

from postrider_receiver import sign
from postrider_receiver.stores.postgres import PostgresStore
from postrider_receiver.stores.sqlite import SqliteStore

DELIVERIES = 20_000 if proofs.IS_FULL else 600
KILLS = 100 if proofs.IS_FULL else 6
REPEATED = 0.1
SENDERS = 4
SEED = 20_251_128
# A sender that gets no answer in this time has found a fault
DEADLINE_SECONDS = 3_000 if proofs.IS_FULL else 240


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_at_random_moments_every_event_has_one_effect(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        where = str(tmp_path / "inbox.db")
        store: Any = SqliteStore(where)
    else:
        where = request.getfixturevalue("postgres_database")
        store = PostgresStore(where)
    with store._writing() as transaction:
        transaction.run("CREATE TABLE effect (event TEXT NOT NULL)")
        transaction.run("CREATE TABLE total (effects INTEGER NOT NULL)")
        transaction.run("INSERT INTO total VALUES (0)")
    noise = random.Random(SEED)
    ids = [f"evt_{number}" for number in range(round(DELIVERIES / (1 + REPEATED)))]
    deliveries = ids + noise.sample(ids, DELIVERIES - len(ids))
    noise.shuffle(deliveries)

    with receiver_that_is_killed(kind, where) as receiver:
        kill_after = sorted(noise.sample(range(DELIVERIES), KILLS))
        senders = Senders(receiver, deliveries)
        with senders:
            for sent in kill_after:
                senders.wait_until_sent(sent)
                time.sleep(noise.uniform(0, 0.01))
                receiver.kill_and_restart()

    assert senders.failures == []
    with store._reading() as transaction:
        found = sorted(event for (event,) in transaction.run("SELECT event FROM effect"))
        [(total,)] = transaction.run("SELECT effects FROM total")
    store.close()
    assert found == sorted(ids)
    assert total == len(ids)


class KilledReceiver:
    """The process and where it listens at the moment."""

    def __init__(self, kind: str, where: str) -> None:
        self._arguments = (kind, where)
        self.port = 0
        self._start()

    def kill_and_restart(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        proofs.kill(self._process)

    def _start(self) -> None:
        self._process = proofs.start("crash_receiver.py", *self._arguments)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())


@contextmanager
def receiver_that_is_killed(kind: str, where: str) -> Iterator[KilledReceiver]:
    receiver = KilledReceiver(kind, where)
    try:
        yield receiver
    finally:
        receiver.stop()


class Senders:
    """Threads that send each delivery again until it is answered with 2xx."""

    def __init__(self, receiver: KilledReceiver, deliveries: list[str]) -> None:
        self._receiver = receiver
        self._waiting = deliveries[::-1]
        self._sent = 0
        self._changed = threading.Condition()
        self._deadline = time.monotonic() + DEADLINE_SECONDS
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(SENDERS)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def wait_until_sent(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._sent >= count or self.failures, DEADLINE_SECONDS
            )

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._waiting:
                        return
                    event_id = self._waiting.pop()
                self._deliver(event_id)
                with self._changed:
                    self._sent += 1
                    self._changed.notify_all()
        except BaseException as error:
            self.failures.append(error)
            with self._changed:
                self._changed.notify_all()
            raise

    def _deliver(self, event_id: str) -> None:
        body = f'{{"id":"{event_id}"}}'.encode()
        while True:
            assert time.monotonic() < self._deadline
            now_ms = time.time_ns() // 1_000_000
            headers = sign(body, event_id=event_id, secrets=SECRET, now_ms=now_ms)
            one = http.client.HTTPConnection("127.0.0.1", self._receiver.port, timeout=30)
            try:
                one.request("POST", "/", body, headers)
                status = one.getresponse().status
            except (OSError, http.client.HTTPException):
                # it was just killed
                time.sleep(0.01)
                continue
            finally:
                one.close()
            assert status in (200, 409), status
            if status == 200:
                return
            time.sleep(0.005)
