"""The mode `leased`: one holder at a time, with a lease that a crash lets run out."""

import secrets
import time
from collections.abc import Callable

from postrider_receiver.calling import Returned, call
from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.base import SOURCE, Inbox, checked_status, log
from postrider_receiver.inbox.delivered import Delivered, delivered, lost
from postrider_receiver.inbox.heartbeat import Heartbeat, checked_lease_ms
from postrider_receiver.inbox.record import Claimed, Dead, Failed, New, Pending, retry_after_seconds
from postrider_receiver.inbox.store import LeaseStore

LEASE_SECONDS = 30.0

_TOKEN_BYTES = 16
# What is kept of an exception
_ERROR_LETTERS_MAX = 1_000


class Lease:
    """Shows a handler that the event is still its own."""

    def __init__(self, claimed: Claimed, heartbeat: Heartbeat) -> None:
        self.effect_key = claimed.key.effect_key
        """The same in every attempt: pass it downstream as an idempotency key."""
        self.attempt = claimed.attempt
        """Counts from 1."""
        self._heartbeat = heartbeat

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may be handling the event by now."""
        return self._heartbeat.is_lost

    def wait_until_lost(self, timeout_seconds: float | None = None) -> bool:
        """Waits for the signal that the lease is lost; False when the time is over before."""
        return self._heartbeat.wait_until_lost(timeout_seconds)

    def check(self) -> None:
        """Raises `LeaseLost` when the lease is lost; call it before each effect."""
        self._heartbeat.check()


LeasedHandler = Callable[[WebhookEvent, Lease], Returned]


class LeasedInbox(Inbox[LeaseStore]):
    """Hands each new event to `handler(event, lease)`, one holder at a time.

    A holder that crashes or stalls loses its lease after `lease_seconds` without a heartbeat; the
    next delivery then runs the event again. So effects can happen twice, unless what is downstream
    knows `lease.effect_key`.
    """

    def __init__(
        self,
        store: LeaseStore,
        handler: LeasedHandler,
        *,
        consumer: str,
        source: str = SOURCE,
        lease_seconds: float = LEASE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(store, source=source, consumer=consumer, now=now)
        self._handler = handler
        self._lease_ms = checked_lease_ms(lease_seconds)

    def deliver(self, event: WebhookEvent) -> Delivered:
        """Handles a verified event, unless it was handled before or is being handled."""
        arrival = self.arrival(event)
        outcome = self._store.claim(arrival, made_token(), self._lease_ms, self.now_ms())
        if not isinstance(outcome, Claimed):
            self.report(arrival, outcome)
            return delivered(outcome)
        return run_claimed(self._store, outcome, self._handler, self._lease_ms, Failed, self.now_ms)


def made_token() -> str:
    """Unguessable, and never made again."""
    return secrets.token_hex(_TOKEN_BYTES)


def run_claimed(
    store: LeaseStore,
    claimed: Claimed,
    handler: LeasedHandler,
    lease_ms: int,
    left_by_failure: Callable[[], Failed | Pending | Dead],
    now_ms: Callable[[], int],
) -> Delivered:
    """Runs the handler under a heartbeat, and finishes or fails what was claimed."""
    heartbeat = Heartbeat(lambda: store.heartbeat(claimed, lease_ms, now_ms()), lease_ms)
    try:
        with heartbeat:
            lease = Lease(claimed, heartbeat)
            status = checked_status(call(lambda: handler(claimed.event, lease)))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is a failure
        log.exception("event %r failed in attempt %d", claimed.event.id, claimed.attempt)
        found = delivered(Failed())
        is_held = store.fail(claimed, _shown(error), left_by_failure(), now_ms())
    else:
        found = delivered(New(status))
        is_held = store.finish(claimed, status, now_ms())
    if is_held:
        return found
    log.warning("event %r was taken over in attempt %d", claimed.event.id, claimed.attempt)
    return lost(retry_after_seconds(lease_ms, 0))


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_ERROR_LETTERS_MAX]
