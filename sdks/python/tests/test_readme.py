"""The snippets of the README are run, each by itself, in an empty folder."""

import asyncio
import json
import re
import runpy
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from postrider_receiver import WebhookEvent, sign

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
SECRET = "your-webhook-secret"


# Runs a snippet and gives its names
Run = Callable[[str], dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as closing:

        def run(snippet: str) -> dict[str, Any]:
            path = Path("snippet.py")
            path.write_text(snippet)
            names = runpy.run_path(str(path))
            if "inbox" in names:
                store = names["inbox"]._store
                closing.callback(getattr(store, "close", lambda: None))
            return names

        yield run


def the_one_with(text: str) -> str:
    [found] = [str(snippet) for snippet in SNIPPETS if text in snippet]
    return found


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs(number: int, run: Run, request: pytest.FixtureRequest) -> None:
    snippet = SNIPPETS[number]
    if "postgresql://" in snippet:
        conninfo = request.getfixturevalue("postgres_database")
        snippet = snippet.replace("postgresql://localhost/app", conninfo)
    if "redis://" in snippet:
        snippet = snippet.replace("redis://localhost", request.getfixturevalue("redis_url"))
    run(snippet)


def test_the_bot_has_one_effect(run: Run) -> None:
    app = run(the_one_with("FastAPI()"))["app"]
    body, headers = delivery()

    async def post() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.post("/webhooks", content=body, headers=headers)
        return response.status_code

    assert [asyncio.run(post()) for _ in range(3)] == [200, 200, 200]
    connection = sqlite3.connect("bot.db")
    assert connection.execute("SELECT * FROM merge").fetchall() == [("evt_1", "acme/web")]
    connection.close()


def test_the_view_of_flask_answers(run: Run) -> None:
    client = run(the_one_with("Flask(__name__)"))["app"].test_client()
    body, headers = delivery()
    assert client.post("/webhooks", data=body, headers=headers).status_code == 200
    assert client.post("/webhooks", data=body + b" ", headers=headers).status_code == 422
    assert client.post("/webhooks", data=b"{}", headers=headers).status_code == 401


def test_the_handler_of_postgres_writes(run: Run, postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as connection:
        connection.execute("CREATE TABLE deployment (event TEXT, environment TEXT)")
    snippet = the_one_with("PostgresStore").replace("postgresql://localhost/app", postgres_database)
    inbox = run(snippet)["inbox"]
    event = WebhookEvent("evt_1", 0, b'{"data":{"environment":"production"}}')
    assert [inbox.deliver(event).outcome for _ in range(2)] == ["new", "done"]
    with psycopg.connect(postgres_database) as connection:
        rows = connection.execute("SELECT * FROM deployment").fetchall()
    assert rows == [("evt_1", "production")]


def delivery() -> tuple[bytes, dict[str, str]]:
    payload = {"id": "evt_1", "type": "code.merged", "data": {"repository": "acme/web"}}
    body = json.dumps(payload, separators=(",", ":")).encode()
    now_ms = time.time_ns() // 1_000_000
    return body, sign(body, event_id="evt_1", secrets=SECRET, now_ms=now_ms)
