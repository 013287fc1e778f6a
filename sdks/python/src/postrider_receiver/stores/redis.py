"""An inbox in Redis, for the modes `leased` and `queued`, and for locks. Needs the extra `redis`.

Redis can forget. What was answered is lost where it crashes without `appendonly yes` (and, with
`appendfsync everysec`, a second of it all the same), where a replica takes over that had not got it
yet, and where `maxmemory-policy` is not `noeviction`. A forgotten event is handled again when it is
delivered again; a forgotten queued one is not handled at all. Where that matters, use PostgreSQL.
"""

import json
from importlib.resources import files
from typing import Any

from redis import Redis

from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.record import (
    Accepted,
    Arrival,
    Claimed,
    Consumer,
    Dead,
    Done,
    Failed,
    Key,
    OtherBody,
    Pending,
    Reprocessed,
    Running,
    Stats,
    retention_ms,
    retry_after_seconds,
)

_SCRIPT = files(__package__).joinpath("redis.lua").read_text()


class RedisStore:
    """Keeps everything under keys that start with `{prefix}` in braces, as one slot of a cluster.

    `client` is a URL or a `redis.Redis`, which must not decode responses: bodies are bytes.
    """

    def __init__(
        self, client: "str | Redis", *, prefix: str = "postrider", retention_days: float = 30
    ) -> None:
        self._client = Redis.from_url(client) if isinstance(client, str) else client
        if self._client.get_encoder().decode_responses:
            raise ValueError("bodies are bytes: give a client without `decode_responses`")
        self._script = self._client.register_script(_SCRIPT)
        self._prefix = f"{{{prefix}}}"
        self._retention_ms = retention_ms(retention_days)

    def claim(
        self, arrival: Arrival, token: str, lease_ms: int, now_ms: int
    ) -> Claimed | Running | Done | OtherBody:
        told = self._run(
            "claim", **_arrived(arrival), token=token, lease_ms=lease_ms, now_ms=now_ms
        )
        match told:
            case [b"claimed", int(attempt), *_]:
                return Claimed(arrival.key, arrival.event, token, attempt)
            case [b"running", int(due_at_ms)]:
                return Running(retry_after_seconds(due_at_ms, now_ms))
            case [b"done", int(status)]:
                return Done(status)
            case _:
                return OtherBody()

    def accept(self, arrival: Arrival, now_ms: int) -> Accepted | Done | Dead | OtherBody:
        told = self._run(
            "accept",
            arrival.event.body,
            **_arrived(arrival),
            order_key=arrival.order_key or "",
            now_ms=now_ms,
        )
        match told:
            case [b"accepted"]:
                return Accepted()
            case [b"done", int(status)]:
                return Done(status)
            case [b"dead"]:
                return Dead()
            case _:
                return OtherBody()

    def take(
        self, consumer: Consumer, token: str, lease_ms: int, attempts_max: int, now_ms: int
    ) -> Claimed | None:
        told = self._run(
            "take",
            consumer=_group(consumer),
            token=token,
            lease_ms=lease_ms,
            attempts_max=attempts_max,
            now_ms=now_ms,
        )
        match told:
            case [b"claimed", int(attempt), event_id, body, int(signed_at_seconds), server_host]:
                key = Key(consumer, event_id.decode())
                host = server_host.decode() or None
                event = WebhookEvent(key.event_id, signed_at_seconds, body, host)
                return Claimed(key, event, token, attempt)
            case _:
                return None

    def heartbeat(self, claimed: Claimed, lease_ms: int, now_ms: int) -> bool:
        told = self._run("heartbeat", **_held(claimed), lease_ms=lease_ms, now_ms=now_ms)
        return bool(told == [b"held"])

    def finish(self, claimed: Claimed, status: int, now_ms: int) -> bool:
        return self._settle(claimed, state="done", status=status, error="", now_ms=now_ms)

    def fail(
        self, claimed: Claimed, error: str, left: Failed | Pending | Dead, now_ms: int
    ) -> bool:
        return self._settle(
            claimed,
            state=type(left).__name__.lower(),
            status=0,
            error=error,
            due_at_ms=left.due_at_ms if isinstance(left, Pending) else 0,
            now_ms=now_ms,
        )

    def stats(self, consumer: Consumer, now_ms: int) -> Stats:
        return Stats(*self._run("stats", consumer=_group(consumer), now_ms=now_ms))

    def reprocess(self, key: Key, now_ms: int) -> Reprocessed:
        match self._run("reprocess", **_named(key), now_ms=now_ms):
            case [b"reprocessed"]:
                return "reprocessed"
            case [b"running"]:
                return "running"
            case _:
                return "absent"

    def forget(self, key: Key) -> bool:
        return bool(self._run("forget", **_named(key), now_ms=0) == [b"forgotten"])

    def purge(self, _now_ms: int) -> int:
        """Nothing to do: settled events expire by themselves."""
        return 0

    def acquire(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> int | Running:
        match self._run("acquire", key=lock_key, token=token, ttl_ms=ttl_ms, now_ms=now_ms):
            case [b"acquired", int(fence)]:
                return fence
            case [_, int(until_ms)]:
                return Running(retry_after_seconds(until_ms, now_ms))
            case told:
                raise TypeError(f"an answer of another script: {told!r}")

    def extend(self, lock_key: str, token: str, ttl_ms: int, now_ms: int) -> bool:
        told = self._run("extend", key=lock_key, token=token, ttl_ms=ttl_ms, now_ms=now_ms)
        return bool(told == [b"held"])

    def release(self, lock_key: str, token: str) -> bool:
        return bool(self._run("release", key=lock_key, token=token, now_ms=0) == [b"released"])

    def _settle(self, claimed: Claimed, **left: Any) -> bool:
        return bool(self._run("settle", **_held(claimed), **left) == [b"held"])

    def _run(self, operation: str, body: bytes = b"", **parameters: Any) -> Any:
        parameters["retention_ms"] = self._retention_ms
        arguments: list[str | bytes] = [operation, json.dumps(parameters), body]
        return self._script(keys=[self._prefix], args=arguments)


def _group(consumer: Consumer) -> str:
    return f"{consumer.source}|{consumer.name}"


def _named(key: Key) -> dict[str, Any]:
    return {
        "consumer": _group(key.consumer),
        "effect_key": key.effect_key,
        "id": key.event_id,
    }


def _held(claimed: Claimed) -> dict[str, Any]:
    return _named(claimed.key) | {"token": claimed.token}


def _arrived(arrival: Arrival) -> dict[str, Any]:
    return _named(arrival.key) | {
        "body_sha256": arrival.body_sha256,
        "signed_at_seconds": arrival.event.signed_at_seconds,
        "server_host": arrival.event.server_host or "",
    }
