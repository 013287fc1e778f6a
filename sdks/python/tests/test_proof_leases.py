"""The promise of the mode `leased` on Redis: never two live holders of a valid token, and every
event is done, although holders are killed and paused for longer than their leases."""

import json
import random
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import proofs
import redis

# Rounds go on until so many leases were lost
LOST = 200 if proofs.IS_FULL else 5
EVENTS_OF_A_ROUND = 40
HOLDERS = 4
LEASE_SECONDS = 0.3
SEED = 20_251_128
DEADLINE_SECONDS = 3_000 if proofs.IS_FULL else 240


class Operation(NamedTuple):
    event: str
    attempt: int
    name: str
    is_granted: bool
    before: float
    after: float


def test_killed_and_paused_there_are_never_two_holders(
    redis_client: "redis.Redis", redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "operations"
    noise = random.Random(SEED)
    rounds = 0
    operations: list[Operation] = []
    while sum(each.name != "claim" and not each.is_granted for each in operations) < LOST:
        disturb(noise, redis_url, rounds, log)
        rounds += 1
        operations = [Operation(*json.loads(line)) for line in log.read_text().splitlines()]
    events = rounds * EVENTS_OF_A_ROUND
    of_event: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        of_event[operation.event].append(operation)

    assert len(of_event) == events
    for event, found in of_event.items():
        claims = sorted(each for each in found if each.name == "claim")
        # attempts count claims; one whose holder was killed before it wrote it down is missing
        attempts = [claim.attempt for claim in claims]
        assert attempts == sorted(set(attempts)), event
        finishes = [each for each in found if each.name == "finish" and each.is_granted]
        assert len(finishes) <= 1, event
        for claim in claims:
            for earlier in found:
                if earlier.attempt < claim.attempt and earlier.is_granted:
                    # what an earlier holder was granted was asked for before the takeover was told
                    assert earlier.before <= claim.after, (earlier, claim)
    assert redis_client.zcard("{postrider}:postrider|proof:done") == events


def disturb(noise: random.Random, redis_url: str, number: int, log: Path) -> None:
    """Runs the holders until all events of a round are done, killing and pausing them meanwhile."""
    settings = (number, EVENTS_OF_A_ROUND, LEASE_SECONDS, log)
    arguments = (redis_url, *map(str, settings))
    holders = [proofs.start("lease_holder.py", *arguments) for _ in range(HOLDERS)]
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while not all(holder.poll() == 0 for holder in holders):
            assert time.monotonic() < deadline
            time.sleep(noise.uniform(0, LEASE_SECONDS))
            chosen = noise.randrange(HOLDERS)
            if holders[chosen].poll() is not None:
                continue
            if noise.random() < 0.1:
                proofs.kill(holders[chosen])
                holders[chosen] = proofs.start("lease_holder.py", *arguments)
            else:
                holders[chosen].send_signal(signal.SIGSTOP)
                time.sleep(noise.uniform(LEASE_SECONDS, 3 * LEASE_SECONDS))
                holders[chosen].send_signal(signal.SIGCONT)
    finally:
        for holder in holders:
            proofs.kill(holder)
