"""The words of an inbox: what it keeps about an event, and how each operation can end."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from postrider_receiver.event import WebhookEvent

DAY_MS = 86_400_000
# No known sender tries again for longer than this; a shorter memory would let a late one in twice
RETENTION_MS_MIN = 10 * DAY_MS
RETENTION_MS = 30 * DAY_MS

State = Literal["pending", "running", "done", "failed", "dead"]

_NAME = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


@dataclass(frozen=True)
class Consumer:
    """Who receives: events of one source, handled for one purpose."""

    source: str
    name: str

    def __post_init__(self) -> None:
        for text in (self.source, self.name):
            if _NAME.fullmatch(text) is None:
                raise ValueError(
                    f"sources and consumers are 1 to 128 of A-Z a-z 0-9 . _ : / -, not {text!r}"
                )


@dataclass(frozen=True)
class Key:
    """What an inbox remembers an event by."""

    consumer: Consumer
    event_id: str

    @cached_property
    def effect_key(self) -> str:
        """The same in every attempt: pass it downstream as an idempotency key."""
        text = f"{self.consumer.source}\n{self.consumer.name}\n{self.event_id}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Arrival:
    """A verified delivery, on its way into a store."""

    key: Key
    event: WebhookEvent
    order_key: str | None = None

    @cached_property
    def body_sha256(self) -> str:
        return hashlib.sha256(self.event.body).hexdigest()


# --- how a claim, an accept, a take and a transaction can end


@dataclass(frozen=True)
class Claimed:
    """The event is this caller's until its lease ends."""

    key: Key
    event: WebhookEvent
    token: str
    attempt: int
    """Counts claims, from 1."""


@dataclass(frozen=True)
class Accepted:
    """Stored for a worker, now or before."""


@dataclass(frozen=True)
class New:
    """Handled and committed in this call."""

    status: int


@dataclass(frozen=True)
class Done:
    """Handled before, with this status."""

    status: int


@dataclass(frozen=True)
class Running:
    """Claimed elsewhere; the lease ends after so long, rounded up."""

    retry_after_seconds: int


@dataclass(frozen=True)
class Dead:
    """All attempts failed."""


@dataclass(frozen=True)
class OtherBody:
    """The id is known with another body."""


# --- how a failed attempt leaves an event


@dataclass(frozen=True)
class Failed:
    """The next delivery runs it again."""


@dataclass(frozen=True)
class Pending:
    """A worker runs it again."""

    due_at_ms: int


@dataclass(frozen=True)
class Stats:
    """Events of one consumer by state."""

    pending: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    dead: int = 0


Reprocessed = Literal["reprocessed", "running", "absent"]


def retry_after_seconds(until_ms: int, now_ms: int) -> int:
    """Whole seconds until then, rounded up, at least 1."""
    return max(1, -((now_ms - until_ms) // 1_000))


def retention_ms(days: float) -> int:
    """The retention of a store; refuses one that a sender's retries could outlast."""
    ms = int(days * DAY_MS)
    if ms < RETENTION_MS_MIN:
        raise ValueError(f"the retention must be at least {RETENTION_MS_MIN // DAY_MS} days")
    return ms
