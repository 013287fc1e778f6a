"""Throwaway servers on Unix sockets in a folder of their own. No port is opened."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

# How long a server may take to answer; a busy machine needs some of it
_START_SECONDS = 60


@contextmanager
def postgres() -> Iterator[str]:
    """A connection string of a new PostgreSQL cluster."""
    with _folder() as folder:
        data = folder / "data"
        options = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"]
        _Process(folder, _program("initdb"), *options, "--locale=C", "--pgdata", data).wait()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            # only processes are killed here, never the machine
            "fsync": "off",
            "max_connections": 200,
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        server = _Process(folder, _program("postgres"), "-D", data, *options)
        conninfo = f"host={folder} user=postgres dbname=postgres"
        try:
            server.wait_until(lambda: psycopg.connect(conninfo).close())
            yield conninfo
        finally:
            server.stop()


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a new Redis."""
    with _folder() as folder:
        socket = folder / "redis.sock"
        options = ["--port", "0", "--unixsocket", socket, "--unixsocketperm", "777"]
        memory_only = ["--save", "", "--appendonly", "no", "--dir", folder]
        server = _Process(folder, _program("redis-server"), *options, *memory_only)
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                server.wait_until(client.ping)
            yield f"unix://{socket}"
        finally:
            server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="postrider-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> Path:
    """PostgreSQL's programs are not on Debian's path; the newest of them is taken."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    assert newest is not None, f"the tests need {name}; Debian: postgresql, redis-server"
    return newest


class _Process:
    """A program run as somebody else than root, as whom PostgreSQL refuses to run."""

    def __init__(self, folder: Path, *command: object) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                user="nobody" if os.geteuid() == 0 else None,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        assert self._process.wait() == 0, self._log.read_text()

    def wait_until(self, is_up: Callable[[], object]) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        while True:
            try:
                is_up()
            except (psycopg.OperationalError, redis.ConnectionError):
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < give_up_at, "the server does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        # for PostgreSQL a fast shutdown
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
