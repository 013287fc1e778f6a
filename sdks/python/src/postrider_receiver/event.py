"""A verified delivery, typed."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from postrider_receiver import timestamp

_UNPARSED = object()
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class WebhookEvent:
    """What a genuine delivery says, by its headers and by the envelope
    `{"id", "type", "timestamp", "data"}` in its body. A body that is no JSON raises `ValueError`
    where it is read."""

    id: str
    """The same in every attempt, so it tells repeats apart."""
    signed_at_seconds: int
    """The time that was signed, since 1970: the event's or the attempt's."""
    body: bytes
    """Exactly what arrived."""
    server_host: str | None = None
    """The public URL of the server that sent it, for profiles that say so; not signed."""
    _parsed: Any = field(default=_UNPARSED, init=False, repr=False, compare=False)

    def json(self) -> Any:
        """The body, parsed once."""
        if self._parsed is _UNPARSED:
            self._parsed = json.loads(self.body.decode())
        return self._parsed

    @property
    def type(self) -> str:
        """The envelope's `type`, such as `code.generated`; empty when there is none."""
        found = self._member("type")
        return found if isinstance(found, str) else ""

    @property
    def occurred_at(self) -> datetime | None:
        """When the event occurred, by its envelope; None where that is no time of the years 1 to
        9999."""
        found = self._member("timestamp")
        ms = timestamp.parse_ms(found) if isinstance(found, str) else None
        try:
            return None if ms is None else _EPOCH + timedelta(milliseconds=ms)
        except OverflowError:
            return None

    @property
    def data(self) -> Any:
        """The envelope's `data`."""
        return self._member("data")

    def _member(self, name: str) -> Any:
        value = self.json()
        return value.get(name) if isinstance(value, dict) else None
