"""`examples/automa-bot`, started as its README says and fed as a server would."""

import http.client
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import proofs
import pytest

from postrider_receiver import sign

BOT = Path(__file__).parents[3] / "examples/automa-bot/bot.py"
NEW = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef"
OLD = "atma_whsec_Zz9y8Xx7w6Vv5u4Tt3s2Rr1q0Pp9o8Nn7m6Ll5k4Jj3i2"
HOST = "https://api.automa.example"

# Sends a body with headers and gives the status of the answer
Send = Callable[[bytes, dict[str, str]], int]


@contextmanager
def running_bot(database: Path, secrets: str) -> Iterator[Send]:
    settings = {"WEBHOOK_SECRET": secrets, "DATABASE": str(database), "PORT": "0"}
    bot = proofs.start(str(BOT), environment=settings | {"AUTOMA_SERVERS": HOST})
    try:
        assert bot.stdout is not None
        address = urlsplit(bot.stdout.readline().strip()).netloc

        def send(body: bytes, headers: dict[str, str]) -> int:
            with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                connection.request("POST", "/", body, headers)
                return connection.getresponse().status

        yield send
        bot.terminate()
        bot.wait(30)
    finally:
        proofs.kill(bot)


def envelope(event_type: str, event_id: str, data: dict[str, Any], at_ms: int) -> bytes:
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1_000))
    stamp = f"{when}.{at_ms % 1_000:03}Z"
    body = {"data": data, "id": event_id, "timestamp": stamp, "type": event_type}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def headers(body: bytes, secrets: list[str], at_ms: int) -> dict[str, str]:
    return sign(
        body,
        event_id=json.loads(body)["id"],
        secrets=secrets,
        now_ms=time.time_ns() // 1_000_000,
        event_time_ms=at_ms,
        server_host=HOST,
    )


def created(number: int, at_ms: int) -> bytes:
    task = {"id": number, "title": f"Task {number} é", "token": "abc123xyz", "items": []}
    data = {"org": {"id": 1}, "repo": {"id": 1, "name": "monorepo"}, "task": task}
    return envelope("task.created", f"whmsg_task_created_{number}", data, at_ms)


def judged(number: int, outcome: str, at_ms: int) -> bytes:
    data = {"proposal": {"id": 9}, "task": {"id": number, "title": f"Task {number} é"}}
    return envelope(f"proposal.{outcome}", f"whmsg_proposal_{outcome}_{number}", data, at_ms)


@pytest.mark.parametrize("age_ms", [0, 3_600_000])
def test_the_bot_counts_each_event_once(age_ms: int, tmp_path: Path) -> None:
    database = tmp_path / "bot.db"
    at_ms = time.time_ns() // 1_000_000 - age_ms
    with running_bot(database, OLD) as send:
        first = created(1, at_ms)
        # the first attempt, a duplicate, and a retry that is signed anew
        statuses = [send(first, headers(first, [OLD], at_ms)) for _ in range(3)]
        # an outcome that comes before its task
        for body in (judged(2, "accepted", at_ms), created(2, at_ms)):
            statuses += [send(body, headers(body, [OLD], at_ms)) for _ in range(2)]
        # the secret is rotated: both sign, the new one first
        third = created(3, at_ms)
        statuses.append(send(third, headers(third, [NEW, OLD], at_ms)))
        assert statuses == [200] * len(statuses)
        assert send(third, headers(third, [NEW], at_ms)) == 401
        elsewhere = headers(third, [OLD], at_ms) | {"x-automa-server-host": "https://evil.example"}
        assert send(third, elsewhere) == 401

    # the bot comes back with both secrets, and what it knew
    with running_bot(database, f"{NEW},{OLD}") as send:
        for body in (first, third, judged(1, "rejected", at_ms)):
            for secrets in ([NEW, OLD], [NEW]):
                assert send(body, headers(body, secrets, at_ms)) == 200

    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT * FROM task ORDER BY id").fetchall()
    assert rows == [
        (1, "Task 1 é", "monorepo", 0, 1),
        (2, "Task 2 é", "monorepo", 1, 0),
        (3, "Task 3 é", "monorepo", 0, 0),
    ]


def test_a_bot_without_a_secret_does_not_start(tmp_path: Path) -> None:
    bot = proofs.start(str(BOT), environment={"DATABASE": str(tmp_path / "bot.db")})
    assert bot.wait(60) != 0
    proofs.kill(bot)
