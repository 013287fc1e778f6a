"""A receiver to be killed: `crash_receiver.py sqlite PATH`, or `postgres` and a connection string.

Prints the port that it listens on. Its handler adds one row for each event it is handed.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from postrider_receiver import Receiver, TransactionalInbox, Verifier, WebhookEvent
from postrider_receiver.stores.postgres import PostgresStore
from postrider_receiver.stores.sqlite import SqliteStore

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def handle(event: WebhookEvent, connection: Any) -> None:
    # two writes, so that a half of them would show
    connection.execute(f"INSERT INTO effect VALUES ('{event.id}')")
    connection.execute("UPDATE total SET effects = effects + 1")


def main(kind: str, where: str) -> None:
    store: Any = SqliteStore(where) if kind == "sqlite" else PostgresStore(where)
    receiver = Receiver(Verifier(SECRET), TransactionalInbox(store, handle, consumer="proof"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = receiver.handle(body, self.headers.items())
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
