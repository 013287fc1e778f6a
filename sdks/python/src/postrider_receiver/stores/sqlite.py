"""An inbox in SQLite, for all three modes: exactly-once effects in the file that your own tables
are in."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postrider_receiver.inbox.record import Arrival, Done, Key, New, OtherBody, Running
from postrider_receiver.inbox.store import TransactionEnded
from postrider_receiver.stores import statements
from postrider_receiver.stores.sql import Row, SqlStore, Transaction, standing

_SCHEMA = statements.SCHEMA.format(
    serial="INTEGER PRIMARY KEY AUTOINCREMENT", bytes="BLOB", integer="INTEGER"
)

# Waiting for other transactions: less than a sender waits for its answer
_BUSY_SECONDS = 10.0
# Connections kept for reuse
_IDLE_MAX = 8

# In spellings of our own, so that a statement prepared for us is never a handler's
_BEGIN = "BEGIN IMMEDIATE /* inbox */"
_COMMIT = "COMMIT /* inbox */"

# Result code of SQLite; its lowest byte says that, the others why
_SQLITE_BUSY = 5


class StoreBusy(Exception):
    """Others' transactions took too long."""


class SqliteStore(SqlStore):
    """Keeps `postrider_inbox` and `postrider_lock` in the database file at `path`, in WAL mode with
    full synchronisation: what was answered survives a power cut.

    Transactions that write wait for each other, at most 10 s; then the sender is asked to come
    again. Several processes may use one file. `configure` is called with each new connection. A
    transactional handler must not use the same store for locks: it would wait for itself.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        retention_days: float = 30,
        configure: Callable[[sqlite3.Connection], None] = lambda _connection: None,
    ) -> None:
        super().__init__(retention_days)
        self._path = path
        self._configure = configure
        self._idle: list[_Connection] = []
        # threads queue up here, more fairly than SQLite lets them poll
        self._writer = threading.Lock()
        with self._writing() as transaction:
            for statement in _SCHEMA.split(";"):
                transaction.run(statement)
        # a process that forks now takes no connection along
        self.close()

    def close(self) -> None:
        """Closes idle connections."""
        while self._idle:
            self._idle.pop().close()

    def process(
        self, arrival: Arrival, handler: Callable[[Any], int], now_ms: int
    ) -> New | Done | Running | OtherBody:
        # a known event need not wait for others' transactions
        with self._reading() as transaction:
            found = standing(transaction, arrival, now_ms)
        if isinstance(found, (Done, OtherBody)):
            return found
        try:
            return super().process(arrival, handler, now_ms)
        except StoreBusy:
            return Running(1)

    def _try_to_own(self, _transaction: Transaction, _key: Key) -> bool:
        # only one transaction writes at a time
        return True

    def _own_order(self, _transaction: Transaction, _arrival: Arrival) -> None:
        return

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        if not self._writer.acquire(timeout=_BUSY_SECONDS):
            raise StoreBusy
        try:
            with self._connected() as connection:
                connection.begin()
                yield connection
                connection.run(_COMMIT)
        finally:
            self._writer.release()

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        with self._connected() as connection:
            yield connection

    @contextmanager
    def _connected(self) -> Iterator["_Connection"]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _Connection(self._path, self._configure)
        try:
            yield connection
        except BaseException:
            # rolls back
            connection.close()
            raise
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(connection)
        else:
            connection.close()


class _Connection:
    """A connection on which a handler can't end the transaction."""

    def __init__(self, path: str | Path, configure: Callable[[sqlite3.Connection], None]) -> None:
        self._raw = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._raw.execute("PRAGMA journal_mode = WAL")
            self._raw.execute("PRAGMA synchronous = FULL")
            configure(self._raw)
        except BaseException:
            self._raw.close()
            raise
        self._is_handed_over = False
        self._was_ended = False
        self._raw.set_authorizer(self._authorize)

    def begin(self) -> None:
        try:
            self._raw.execute(_BEGIN)
        except sqlite3.OperationalError as error:
            # Python 3.10 doesn't tell the code
            if getattr(error, "sqlite_errorcode", _SQLITE_BUSY) & 0xFF == _SQLITE_BUSY:
                raise StoreBusy from error
            raise

    def run(self, statement: str, **parameters: Any) -> list[Row]:
        return self._raw.execute(statement, parameters).fetchall()

    @contextmanager
    def handed_over(self) -> Iterator[sqlite3.Connection]:
        self._is_handed_over = True
        try:
            yield self._raw
        except sqlite3.DatabaseError as error:
            if self._was_ended:
                raise TransactionEnded from error
            raise
        finally:
            self._is_handed_over = False
            self._raw.row_factory = None
            self._raw.text_factory = str
        if self._was_ended:
            raise TransactionEnded

    def close(self) -> None:
        self._raw.close()

    def _authorize(self, action: int, *_arguments: str | None) -> int:
        if self._is_handed_over and action == sqlite3.SQLITE_TRANSACTION:
            self._was_ended = True
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK
