"""Receivers as their authors would write them in Python, for tests to deliver to.

Each kind listens on a port of its own, and the control on another; one line on standard output
says which. The control takes {"offset_ms": n, "secrets": {kind: secret}}: how far this process's
clock is put forward, and what each kind verifies with. A delivery that is accepted is answered
with 204, one that is rejected with 401; 500 means that the verifier broke.

The process ends when its standard input does.
"""

import datetime
import json
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import automa.bot.webhook
import standardwebhooks.webhooks

secrets = {}
offset = datetime.timedelta()


class ShiftedDatetime(datetime.datetime):
    """What `standardwebhooks` sees as `datetime`; automa-bot asks for no time."""

    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + offset


standardwebhooks.webhooks.datetime = ShiftedDatetime


def is_by_standardwebhooks(headers, text):
    webhook = standardwebhooks.webhooks.Webhook(secrets["standardwebhooks"])
    try:
        webhook.verify(text, headers)
        return True
    except standardwebhooks.webhooks.WebhookVerificationError:
        return False


def is_by_automa(headers, text):
    signature = headers.get("webhook-signature")
    return automa.bot.webhook.verify_webhook(secrets["automa"], signature, text)


def control(_headers, text):
    global offset
    wanted = json.loads(text)
    if "offset_ms" in wanted:
        offset = datetime.timedelta(milliseconds=wanted["offset_ms"])
    secrets.update(wanted.get("secrets", {}))
    return True


def handler(is_genuine):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = b""
            try:
                status = 204 if is_genuine(headers, body.decode()) else 401
            except Exception:
                status, answer = 500, traceback.format_exc().encode()
            self.send_response(status)
            if status != 204:
                self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments):
            pass

    return Handler


def main():
    kinds = {
        "control": control,
        "standardwebhooks": is_by_standardwebhooks,
        "automa": is_by_automa,
    }
    ports = {}
    for kind, is_genuine in kinds.items():
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(is_genuine))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports[kind] = server.server_port
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


main()
