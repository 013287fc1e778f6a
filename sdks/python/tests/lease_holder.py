"""A holder of leases to be killed and paused: `lease_holder.py URL ROUND EVENTS LEASE_SECONDS LOG`.

Delivers every event of a round to itself until it is done, by whomever. Appends to the log, one
line for each operation on the store: event, attempt, operation, whether it was granted, and the
monotonic times before and after, which all processes of a machine share.
"""

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from postrider_receiver import Lease, LeasedInbox, LeaseLost, WebhookEvent
from postrider_receiver.inbox.record import Claimed
from postrider_receiver.stores.redis import RedisStore


class LoggingStore(RedisStore):
    def __init__(self, url: str, log: Path) -> None:
        super().__init__(url)
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def claim(self, *given: Any) -> Any:
        before = time.monotonic()
        outcome = super().claim(*given)
        if isinstance(outcome, Claimed):
            self._write(outcome, "claim", is_granted=True, before=before)
        return outcome

    def heartbeat(self, claimed: Claimed, *given: Any) -> bool:
        before = time.monotonic()
        is_held = super().heartbeat(claimed, *given)
        self._write(claimed, "heartbeat", is_granted=is_held, before=before)
        return is_held

    def finish(self, claimed: Claimed, *given: Any) -> bool:
        before = time.monotonic()
        is_held = super().finish(claimed, *given)
        self._write(claimed, "finish", is_granted=is_held, before=before)
        return is_held

    def fail(self, claimed: Claimed, *given: Any) -> bool:
        before = time.monotonic()
        is_held = super().fail(claimed, *given)
        self._write(claimed, "fail", is_granted=is_held, before=before)
        return is_held

    def _write(self, claimed: Claimed, operation: str, *, is_granted: bool, before: float) -> None:
        row = [claimed.key.event_id, claimed.attempt, operation, is_granted, before]
        # one write, so that a kill leaves whole lines or none
        os.write(self._log, f"{json.dumps([*row, time.monotonic()])}\n".encode())


def main(url: str, number: str, events: str, lease_seconds: str, log: str) -> None:
    noise = random.Random()
    lease_of = float(lease_seconds)

    def handle(_event: WebhookEvent, lease: Lease) -> None:
        until = time.monotonic() + noise.uniform(0, lease_of)
        while time.monotonic() < until and not lease.wait_until_lost(lease_of / 20):
            pass
        if lease.is_lost:
            raise LeaseLost
        if noise.random() < 0.2:
            raise OSError("no disk")

    store = LoggingStore(url, Path(log))
    inbox = LeasedInbox(store, handle, consumer="proof", lease_seconds=lease_of)
    waiting = [WebhookEvent(f"evt_{number}_{each}", 0, b"{}") for each in range(int(events))]
    noise.shuffle(waiting)
    while waiting:
        event = waiting.pop()
        if inbox.deliver(event).outcome not in ("new", "done"):
            # soon again, so that what a paused holder has is taken over
            waiting.insert(max(0, len(waiting) - 2), event)
            time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
