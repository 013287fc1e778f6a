"""An inbox in PostgreSQL, for all three modes: exactly-once effects in the database that your own
tables are in. Needs the extra `postgres` (psycopg 3)."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from postrider_receiver.inbox.record import Arrival, Key
from postrider_receiver.inbox.store import TransactionEnded
from postrider_receiver.stores import statements
from postrider_receiver.stores.sql import Row, SqlStore, Transaction

_SCHEMA = statements.SCHEMA.format(
    serial="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", bytes="BYTEA", integer="BIGINT"
)

# Connections kept for reuse, of those that the store opens itself
_IDLE_MAX = 8

# One number for "the tables are being made"; any will do
_SCHEMA_LOCK = 7_205_759_403_792_793

_TRY_TO_OWN = "SELECT pg_try_advisory_xact_lock(hashtextextended(:effect_key, 0))"
_OWN_ORDER = "SELECT pg_advisory_xact_lock(hashtextextended(:order, 1))"

_PARAMETER = re.compile(r":([a-z_0-9]+)")


class PostgresStore(SqlStore):
    """Keeps `postrider_inbox` and `postrider_lock` in the schema that comes first in the search
    path, and makes them if they are not there (`create_tables`).

    `connections` is a connection string, or the `connection` method of a `psycopg_pool`, or
    anything else that gives a `psycopg.Connection` for a `with` statement.
    """

    _lock_row = "FOR UPDATE SKIP LOCKED"

    def __init__(
        self,
        connections: str | Callable[[], AbstractContextManager["Connection[Any]"]],
        *,
        retention_days: float = 30,
        create_tables: bool = True,
    ) -> None:
        super().__init__(retention_days)
        self._own: _Connections | None = None
        if isinstance(connections, str):
            self._own = _Connections(connections)
            connections = self._own.connection
        self._connected = connections
        if create_tables:
            with self._writing() as transaction:
                # IF NOT EXISTS alone fails when two make a table at once
                transaction.run("SELECT pg_advisory_xact_lock(:lock)", lock=_SCHEMA_LOCK)
                transaction.run(_SCHEMA)
        # a process that forks now takes no connection along
        self.close()

    def close(self) -> None:
        """Closes idle connections of the store's own."""
        if self._own is not None:
            self._own.close()

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self._connected() as connection, connection.transaction():
            yield _Transaction(connection)

    def _reading(self) -> AbstractContextManager[Transaction]:
        return self._writing()

    def _try_to_own(self, transaction: Transaction, key: Key) -> bool:
        # without it, repeats would wait in the database for the handler's transaction
        return bool(transaction.run(_TRY_TO_OWN, effect_key=key.effect_key)[0][0])

    def _own_order(self, transaction: Transaction, arrival: Arrival) -> None:
        # else a later number could be committed, and taken, before an earlier one
        order = f"{arrival.key.consumer.source}\n{arrival.key.consumer.name}\n{arrival.order_key}"
        transaction.run(_OWN_ORDER, order=order)


class _Transaction:
    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def run(self, statement: str, **parameters: Any) -> list[Row]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_translated(statement), parameters or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def handed_over(self) -> Iterator[Connection[Any]]:
        yield self._connection
        status = self._connection.info.transaction_status
        if status == TransactionStatus.INERROR:
            # COMMIT would silently roll back
            raise errors.InFailedSqlTransaction("a handler went on after a statement that failed")
        if status != TransactionStatus.INTRANS:
            raise TransactionEnded


class _Connections:
    """Connections kept open between uses."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._idle: list[Connection[Any]] = []

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = psycopg.connect(self._conninfo)
        try:
            yield connection
        except psycopg.OperationalError:
            # the server may be gone, and then so are the others
            connection.close()
            self.close()
            raise
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


@lru_cache(maxsize=64)
def _translated(statement: str) -> bytes:
    """psycopg's spelling of parameters; as bytes, since statements are constants of ours."""
    return _PARAMETER.sub(r"%(\1)s", statement).encode()
