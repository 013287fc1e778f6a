"""The three modes, with handlers."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import MakeStore

from postrider_receiver import (
    Delivered,
    Lease,
    LeasedInbox,
    LeaseLost,
    QueuedInbox,
    TransactionalInbox,
    WebhookEvent,
)
from postrider_receiver.inbox.record import RETENTION_MS, Consumer, Stats
from postrider_receiver.inbox.store import TransactionEnded
from postrider_receiver.stores.memory import MemoryStore
from postrider_receiver.stores.postgres import PostgresStore
from postrider_receiver.stores.sqlite import SqliteStore

SQL = ["sqlite", "postgres"]
LEASED = ["memory", "sqlite", "postgres", "redis"]
DEADLINE_SECONDS = 30


def event(event_id: str = "evt_1", body: bytes = b'{"data":1}') -> WebhookEvent:
    return WebhookEvent(event_id, 0, body)


def with_effects(store: Any) -> Any:
    with store._writing() as transaction:
        transaction.run("CREATE TABLE effect (event TEXT NOT NULL)")
    return store


def effects(store: Any) -> list[str]:
    with store._reading() as transaction:
        return [event for (event,) in transaction.run("SELECT event FROM effect ORDER BY event")]


def add_effect(event: WebhookEvent, connection: Any) -> None:
    # ids of these tests need no quoting
    connection.execute(f"INSERT INTO effect VALUES ('{event.id}')")


# --- transactional


@pytest.mark.parametrize("store_name", SQL)
def test_64_parallel_deliveries_have_one_effect(store_name: str, make_store: MakeStore) -> None:
    store = with_effects(make_store(store_name))
    inbox = TransactionalInbox(store, add_effect, consumer="test")
    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(lambda _: inbox.deliver(event()), range(64)))
    assert effects(store) == ["evt_1"]
    assert [each.outcome for each in found].count("new") == 1
    others = [each for each in found if each.outcome != "new"]
    assert all(each.status in (200, 409) for each in others)
    assert all(each.retry_after_seconds for each in others if each.status == 409)


@pytest.mark.parametrize("store_name", SQL)
def test_a_repeat_during_the_handler_does_not_wait_for_it(
    store_name: str, make_store: MakeStore
) -> None:
    # SQLite's only writer is waited for; what is known already is not
    store = with_effects(make_store(store_name))
    inbox = TransactionalInbox(store, add_effect, consumer="test")
    inbox.deliver(event("evt_0"))
    asked = ["evt_0"] if store_name == "sqlite" else ["evt_0", "evt_1"]
    found: list[Delivered] = []

    def handler(incoming: WebhookEvent, connection: Any) -> None:
        add_effect(incoming, connection)
        with ThreadPoolExecutor(1) as pool:
            found.extend(pool.map(lambda each: inbox.deliver(event(each)), asked))

    slow = TransactionalInbox(store, handler, consumer="test")
    assert slow.deliver(event("evt_1")).outcome == "new"
    assert [each.outcome for each in found] == ["done", "running"][: len(asked)]


@pytest.mark.parametrize("store_name", SQL)
def test_a_coroutine_handles_in_the_transaction(store_name: str, make_store: MakeStore) -> None:
    store = with_effects(make_store(store_name))

    async def handler(incoming: WebhookEvent, connection: Any) -> int:
        add_effect(incoming, connection)
        await asyncio.sleep(0)
        return 204

    inbox = TransactionalInbox(store, handler, consumer="test")
    assert [inbox.deliver(event()) for _ in range(2)] == [
        Delivered("new", 204),
        Delivered("done", 204),
    ]
    assert effects(store) == ["evt_1"]


@pytest.mark.parametrize("status", [199, 300, 404])
def test_a_status_that_is_no_success_is_a_failure(status: int, make_store: MakeStore) -> None:
    store = with_effects(make_store("sqlite"))

    def handler(incoming: WebhookEvent, connection: Any) -> int:
        add_effect(incoming, connection)
        return status

    inbox = TransactionalInbox(store, handler, consumer="test")
    assert inbox.deliver(event()) == Delivered("failed", 500)
    assert effects(store) == []


def commit(connection: sqlite3.Connection) -> None:
    connection.commit()


def roll_back(connection: sqlite3.Connection) -> None:
    connection.rollback()


def use_as_context(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute("INSERT INTO effect VALUES ('inner')")


def run_a_script(connection: sqlite3.Connection) -> None:
    connection.executescript("INSERT INTO effect VALUES ('inner');")


def commit_in_sql(connection: sqlite3.Connection) -> None:
    connection.cursor().execute("COMMIT")


def commit_and_go_on(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.DatabaseError):
        connection.commit()


@pytest.mark.parametrize(
    "act", [commit, roll_back, use_as_context, run_a_script, commit_in_sql, commit_and_go_on]
)
def test_a_handler_cannot_end_the_transaction_of_sqlite(
    act: Callable[[sqlite3.Connection], None],
    make_store: MakeStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = with_effects(make_store("sqlite"))

    def handler(incoming: WebhookEvent, connection: Any) -> None:
        add_effect(incoming, connection)
        act(connection)

    inbox = TransactionalInbox(store, handler, consumer="test")
    for _ in range(2):
        assert inbox.deliver(event()) == Delivered("failed", 500)
    assert effects(store) == []
    assert inbox.stats() == Stats()
    assert all(
        isinstance(record.exc_info[1], TransactionEnded)
        for record in caplog.records
        if record.exc_info
    )
    assert caplog.records


def test_savepoints_of_a_handler_are_its_own(make_store: MakeStore) -> None:
    store = with_effects(make_store("sqlite"))

    def handler(incoming: WebhookEvent, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT mine")
        connection.execute("INSERT INTO effect VALUES ('taken back')")
        connection.execute("ROLLBACK TO mine")
        add_effect(incoming, connection)

    inbox = TransactionalInbox(store, handler, consumer="test")
    assert inbox.deliver(event()).outcome == "new"
    assert effects(store) == ["evt_1"]


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "SELECT 1/0"])
def test_a_handler_that_breaks_the_transaction_of_postgres_fails(
    statement: str, postgres_database: str
) -> None:
    store = with_effects(PostgresStore(postgres_database))

    def handler(_incoming: WebhookEvent, connection: psycopg.Connection) -> None:
        with suppress(psycopg.Error):
            connection.execute(statement.encode())

    inbox = TransactionalInbox(store, handler, consumer="test")
    assert inbox.deliver(event()) == Delivered("failed", 500)
    store.close()


def test_connections_of_a_pool_or_of_ones_own_will_do(postgres_database: str) -> None:
    store = PostgresStore(
        lambda: psycopg.connect(postgres_database, row_factory=psycopg.rows.dict_row)
    )
    with_effects(store)
    inbox = TransactionalInbox(store, add_effect, consumer="test")
    assert [inbox.deliver(event()).outcome for _ in range(2)] == ["new", "done"]
    assert effects(store) == ["evt_1"]


def test_connections_that_broke_are_replaced(postgres_database: str) -> None:
    store = PostgresStore(postgres_database)
    consumer = Consumer("postrider", "test")
    assert store.stats(consumer, 0) == Stats()
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    with pytest.raises(psycopg.OperationalError):
        store.stats(consumer, 0)
    assert store.stats(consumer, 0) == Stats()
    store.close()


def test_several_stores_make_their_tables_at_once(postgres_database: str, tmp_path: Path) -> None:
    def make(number: int) -> SqliteStore | PostgresStore:
        if number % 2:
            return PostgresStore(postgres_database)
        return SqliteStore(tmp_path / "inbox.db")

    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(make, range(16)):
            store.close()


def test_the_handler_writes_with_settings_of_ones_own(tmp_path: Path) -> None:
    def configure(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    store = SqliteStore(tmp_path / "inbox.db", configure=configure)
    found = []

    def handler(_incoming: WebhookEvent, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        found.append(connection.execute("PRAGMA foreign_keys").fetchone()["foreign_keys"])

    inbox = TransactionalInbox(store, handler, consumer="test")
    inbox.deliver(event("evt_1"))
    inbox.deliver(event("evt_2"))
    assert found == [1, 1]
    store.close()


# --- leased


@pytest.mark.parametrize("store_name", LEASED)
def test_64_parallel_deliveries_have_one_holder(store_name: str, make_store: MakeStore) -> None:
    handled: list[str] = []
    others_are_answered = threading.Event()

    def handler(_incoming: WebhookEvent, lease: Lease) -> int:
        handled.append(lease.effect_key)
        assert others_are_answered.wait(DEADLINE_SECONDS)
        return 201

    inbox = LeasedInbox(make_store(store_name), handler, consumer="test")
    answered = threading.Semaphore(0)

    def deliver(_number: int) -> Delivered:
        found = inbox.deliver(event())
        answered.release()
        return found

    with ThreadPoolExecutor(64) as pool:
        waiting = pool.map(deliver, range(64))
        for _ in range(63):
            assert answered.acquire(timeout=DEADLINE_SECONDS)
        others_are_answered.set()
        found = sorted(waiting, key=lambda each: each.status)
    assert len(handled) == 1
    assert found[0] == Delivered("new", 201)
    for each in found[1:]:
        assert each == Delivered("running", 409, each.retry_after_seconds)
    assert inbox.deliver(event()) == Delivered("done", 201)


@pytest.mark.parametrize("store_name", LEASED)
def test_a_failure_is_answered_and_run_again(store_name: str, make_store: MakeStore) -> None:
    attempts = []

    def handler(_incoming: WebhookEvent, lease: Lease) -> None:
        attempts.append(lease.attempt)
        if lease.attempt == 1:
            raise OSError("no disk")

    inbox = LeasedInbox(make_store(store_name), handler, consumer="test")
    found = [inbox.deliver(event()) for _ in range(3)]
    assert [each.status for each in found] == [500, 200, 200]
    assert attempts == [1, 2]


@pytest.mark.parametrize("store_name", LEASED)
def test_a_lease_that_is_lost_is_told_and_answered(store_name: str, make_store: MakeStore) -> None:
    store = make_store(store_name)

    def handler(incoming: WebhookEvent, lease: Lease) -> None:
        lease.check()
        inbox.forget(incoming.id)
        assert lease.wait_until_lost(DEADLINE_SECONDS)
        assert lease.is_lost
        lease.check()

    inbox = LeasedInbox(store, handler, consumer="test", lease_seconds=0.3)
    assert inbox.deliver(event()) == Delivered("lost", 409, 1)


def test_heartbeats_keep_a_long_handler_s_lease() -> None:
    class Beating(MemoryStore):
        def heartbeat(self, *given: Any) -> bool:
            is_held = super().heartbeat(*given)
            beaten.release()
            return is_held

    def handler(_incoming: WebhookEvent, lease: Lease) -> None:
        # longer than a lease
        for _ in range(5):
            assert beaten.acquire(timeout=DEADLINE_SECONDS)
            assert inbox.deliver(event()).outcome == "running"
            lease.check()

    beaten = threading.Semaphore(0)
    inbox = LeasedInbox(Beating(), handler, consumer="test", lease_seconds=1.5)
    assert inbox.deliver(event()).outcome == "new"


def test_a_store_that_cannot_be_reached_loses_the_lease() -> None:
    class Unreachable(MemoryStore):
        def heartbeat(self, *_: object) -> bool:
            raise OSError("no network")

    def handler(_incoming: WebhookEvent, lease: Lease) -> None:
        assert lease.wait_until_lost(DEADLINE_SECONDS)
        with pytest.raises(LeaseLost):
            lease.check()

    inbox = LeasedInbox(Unreachable(), handler, consumer="test", lease_seconds=0.2)
    # nobody took it over, so it is still this one's to finish
    assert inbox.deliver(event()).outcome == "new"


def test_a_heartbeat_that_never_comes_back_loses_the_lease() -> None:
    class Stuck(MemoryStore):
        def heartbeat(self, *_: object) -> bool:
            return is_over.wait(DEADLINE_SECONDS)

    def handler(_incoming: WebhookEvent, lease: Lease) -> None:
        assert not lease.wait_until_lost(0.01)
        assert lease.wait_until_lost(DEADLINE_SECONDS)
        with pytest.raises(LeaseLost):
            lease.check()
        is_over.set()

    is_over = threading.Event()
    inbox = LeasedInbox(Stuck(), handler, consumer="test", lease_seconds=0.2)
    assert inbox.deliver(event()).outcome == "new"


def test_a_lease_must_last() -> None:
    for mode in (LeasedInbox, QueuedInbox):
        with pytest.raises(ValueError, match="positive"):
            mode(MemoryStore(), lambda _event, _lease: None, consumer="test", lease_seconds=0)


def test_another_body_under_a_known_id_is_refused_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox = LeasedInbox(MemoryStore(), lambda _event, _lease: None, consumer="test")
    inbox.deliver(event())
    assert inbox.deliver(event(body=b"{}")) == Delivered("other_body", 422)
    assert "'evt_1' came again with another body" in caplog.text


# --- queued


@pytest.mark.parametrize("store_name", LEASED)
def test_what_is_accepted_is_run_by_workers(store_name: str, make_store: MakeStore) -> None:
    runs: dict[str, list[int]] = {}
    all_done = threading.Event()

    async def handler(incoming: WebhookEvent, lease: Lease) -> None:
        runs.setdefault(incoming.id, []).append(lease.attempt)
        await asyncio.sleep(0)
        if incoming.id == "evt_3" and lease.attempt == 1:
            raise OSError("no disk")
        if sum(map(len, runs.values())) == 21:
            all_done.set()

    inbox = QueuedInbox(
        make_store(store_name), handler, consumer="test", retry_delays_seconds=[0, 0]
    )
    with inbox.start(concurrency=4, poll_seconds=DEADLINE_SECONDS):
        for number in range(20):
            assert inbox.deliver(event(f"evt_{number}")) == Delivered("accepted", 202)
        assert all_done.wait(DEADLINE_SECONDS)
    assert runs == {f"evt_{number}": [1, 2] if number == 3 else [1] for number in range(20)}
    assert inbox.stats() == Stats(done=20)
    assert inbox.deliver(event("evt_3")) == Delivered("done", 200)
    assert not inbox.run_next()


@pytest.mark.parametrize("store_name", LEASED)
def test_events_of_an_order_run_one_at_a_time_in_order(
    store_name: str, make_store: MakeStore
) -> None:
    runs: list[tuple[str, int]] = []
    running: set[str] = set()
    all_ran = threading.Event()

    def handler(incoming: WebhookEvent, lease: Lease) -> None:
        order = incoming.id[4]
        assert order not in running
        running.add(order)
        runs.append((incoming.id, lease.attempt))
        # 18 events, three of them in three attempts
        if len(runs) == 24:
            all_ran.set()
        running.remove(order)
        if incoming.id.endswith("3") and lease.attempt < 3:
            raise OSError("no disk")

    inbox = QueuedInbox(
        make_store(store_name),
        handler,
        consumer="test",
        order_key=lambda incoming: incoming.id[4],
        retry_delays_seconds=[0.01, 0.01],
    )
    ids = [f"evt_{order}{number}" for number in range(6) for order in "abc"]
    for each in ids:
        inbox.deliver(event(each))
    with inbox.start(concurrency=4, poll_seconds=0.01):
        assert all_ran.wait(DEADLINE_SECONDS)
    assert inbox.stats() == Stats(done=18)
    for order in "abc":
        expected = [each for each in ids if each[4] == order]
        found = [each for each, _ in runs if each[4] == order]
        assert found == sorted([*expected, *[f"evt_{order}3"] * 2])


def test_an_event_whose_handler_always_fails_is_dead_until_it_is_reprocessed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handler(_incoming: WebhookEvent, _lease: Lease) -> None:
        if inbox_is_broken:
            raise OSError("no disk")

    inbox_is_broken = True
    now = 1_000.0
    inbox = QueuedInbox(
        MemoryStore(),
        handler,
        consumer="test",
        retry_delays_seconds=[5],
        now=lambda: now,
    )
    inbox.deliver(event())
    assert inbox.run_next()
    assert not inbox.run_next()
    now += 5
    assert inbox.run_next()
    assert inbox.stats() == Stats(dead=1)
    assert inbox.deliver(event()) == Delivered("dead", 202)
    assert caplog.text.count("failed in attempt") == 2
    inbox_is_broken = False
    assert inbox.reprocess("evt_1") == "reprocessed"
    assert inbox.run_next()
    assert inbox.stats() == Stats(done=1)
    now += RETENTION_MS / 1_000
    assert inbox.purge() == 1
    assert not inbox.forget("evt_1")


def test_a_worker_outlives_a_store_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    class Flaky(MemoryStore):
        is_down = True

        def take(self, *given: Any) -> Any:
            if self.is_down:
                was_down.set()
                raise OSError("no network")
            return super().take(*given)

    store = Flaky()
    was_down = threading.Event()
    done = threading.Event()
    inbox = QueuedInbox(store, lambda _event, _lease: done.set(), consumer="test")
    with inbox.start(concurrency=1, poll_seconds=0.01):
        inbox.deliver(event())
        assert was_down.wait(DEADLINE_SECONDS)
        store.is_down = False
        assert done.wait(DEADLINE_SECONDS)
    assert "the inbox could not be reached" in caplog.text


def test_names_and_retentions_are_checked() -> None:
    for name in ("", "é", "a b", "a\n", "x" * 129):
        with pytest.raises(ValueError, match="sources and consumers"):
            Consumer(name, "test")
    with pytest.raises(ValueError, match="at least 10 days"):
        MemoryStore(retention_days=9)
