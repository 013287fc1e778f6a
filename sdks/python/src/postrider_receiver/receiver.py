"""A receiver: from a request's raw body and headers to the answer. It knows no framework; adapters
bring it raw bodies."""

import json
import logging
from dataclasses import dataclass
from typing import Protocol

from postrider_receiver.errors import ParsedBody, VerifyError
from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.delivered import Delivered
from postrider_receiver.verifying import Body, Headers, Verifier, raw_body

# Ten times what Postrider warns about; whoever needs more says so
BODY_BYTES_MAX = 1_048_576
# When something here broke: soon, but not at once
_RETRY_SECONDS = 5
# RFC 9110 §15.3: these two have no content
_BODILESS = (204, 205)

_log = logging.getLogger("postrider_receiver")


@dataclass(frozen=True)
class Answer:
    """What to answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes
    """JSON; empty for a status that has no body."""


class Delivers(Protocol):
    """What handles verified events: an inbox of any mode."""

    def deliver(self, event: WebhookEvent) -> Delivered: ...


class Receiver:
    """Verifies each delivery, and only then hands it to an inbox. Thread-safe."""

    def __init__(
        self, verifier: Verifier, inbox: Delivers, *, body_bytes_max: int = BODY_BYTES_MAX
    ) -> None:
        self.body_bytes_max = body_bytes_max
        """Longer bodies are refused."""
        self._verifier = verifier
        self._inbox = inbox

    def handle(self, body: Body, headers: Headers) -> Answer:
        """The answer to a request; never raises: a failure is an answer too, and is logged."""
        try:
            raw = raw_body(body)
            if len(raw) > self.body_bytes_max:
                return self.refuse_long_body()
            found = self._inbox.deliver(self._verifier.verify(raw, headers))
        except VerifyError as error:
            _log.warning("a delivery was refused: %s", error)
            return _answer(error.status, {"error": error.code})
        except ParsedBody as error:
            _log.error("%s", error)
            return _answer(500, {"error": error.code})
        except Exception:  # noqa: BLE001 - a store may raise anything
            _log.exception("the inbox could not be reached")
            return _answer(500, {"error": "inbox"}, _RETRY_SECONDS)
        return _answer(found.status, {"outcome": found.outcome}, found.retry_after_seconds)

    def refuse_long_body(self) -> Answer:
        """The answer to a body over the limit, for adapters that need not read it to know."""
        _log.warning("a delivery was refused: longer than %d bytes", self.body_bytes_max)
        return _answer(413, {"error": "body_too_long"})


def _answer(status: int, told: dict[str, str], retry_after_seconds: int | None = None) -> Answer:
    headers = {}
    if retry_after_seconds is not None:
        headers["retry-after"] = str(retry_after_seconds)
    if status in _BODILESS:
        return Answer(status, headers, b"")
    headers["content-type"] = "application/json"
    return Answer(status, headers, json.dumps(told).encode())
