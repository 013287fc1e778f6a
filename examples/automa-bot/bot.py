"""An Automa bot that keeps a list of its tasks and of what became of its proposals.

`WEBHOOK_SECRET` holds its secret, or two with a comma between them while one is rotated;
`DATABASE` names its SQLite file; `AUTOMA_SERVERS`, if it is there, the only servers that it takes
events from. It prints the address that it listens on.
"""

import os
import socket
import sqlite3
import sys

import uvicorn
from fastapi import FastAPI

from postrider_receiver import Receiver, TransactionalInbox, Verifier, WebhookEvent
from postrider_receiver.adapters import starlette
from postrider_receiver.stores.sqlite import SqliteStore


def handle(event: WebhookEvent, transaction: sqlite3.Connection) -> None:
    """The inbox's row and the bot's are one transaction: both or neither."""
    match event.type:
        case "task.created":
            task = event.data["task"]
            # a proposal's outcome may come before its task
            transaction.execute(
                "INSERT INTO task (id, title, repository) VALUES (?, ?, ?) ON CONFLICT (id)"
                " DO UPDATE SET title = excluded.title, repository = excluded.repository",
                (task["id"], task["title"], event.data["repo"]["name"]),
            )
        case "proposal.accepted" | "proposal.rejected":
            task = event.data["task"]
            transaction.execute(
                "INSERT INTO task (id, title, accepted, rejected) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET accepted = accepted + excluded.accepted,"
                " rejected = rejected + excluded.rejected",
                (
                    task["id"],
                    task["title"],
                    event.type == "proposal.accepted",
                    event.type == "proposal.rejected",
                ),
            )


def make_app() -> FastAPI:
    database = os.environ.get("DATABASE", "bot.db")
    with sqlite3.connect(database) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS task (id INTEGER PRIMARY KEY, title TEXT, repository TEXT,"
            " accepted INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0)"
        )
    connection.close()
    servers = os.environ.get("AUTOMA_SERVERS")
    verifier = Verifier(
        os.environ["WEBHOOK_SECRET"].split(","),
        "automa",
        trusted_hosts=servers.split(",") if servers else None,
    )
    inbox = TransactionalInbox(SqliteStore(database), handle, source="automa", consumer="tasks")
    app = FastAPI()
    app.add_api_route("/", starlette.endpoint(Receiver(verifier, inbox)), methods=["POST"])
    return app


def main() -> None:
    app = make_app()
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "3000"))))
    host, port = listener.getsockname()
    sys.stdout.write(f"http://{host}:{port}/\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
