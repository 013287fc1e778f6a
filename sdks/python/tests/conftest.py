"""The stores that tests ask for by name."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import servers

from postrider_receiver.stores.memory import MemoryStore
from postrider_receiver.stores.postgres import PostgresStore
from postrider_receiver.stores.redis import RedisStore
from postrider_receiver.stores.sqlite import SqliteStore

# Makes an empty store by its name
MakeStore = Callable[[str], Any]

_SCHEMAS = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with servers.postgres() as conninfo:
        yield conninfo


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.redis_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres: str) -> str:
    """A connection string whose tables are in a new schema: faster than a database."""
    schema = f"test_{next(_SCHEMAS)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{postgres} options=-csearch_path={schema}"


@pytest.fixture
def redis_client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    with ExitStack() as closing:

        def make(name: str) -> Any:
            store: Any
            match name:
                case "memory":
                    return MemoryStore()
                case "sqlite":
                    store = SqliteStore(tmp_path / "inbox.db")
                case "postgres":
                    store = PostgresStore(request.getfixturevalue("postgres_database"))
                case _:
                    return RedisStore(request.getfixturevalue("redis_client"))
            closing.callback(store.close)
            return store

        yield make
