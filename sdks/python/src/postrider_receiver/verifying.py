"""Verifying: from raw bytes and headers to an event, or to the step that failed."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hmac import compare_digest
from typing import NamedTuple

from postrider_receiver import canonical, timestamp
from postrider_receiver.errors import (
    MalformedBody,
    MalformedHeader,
    MissingHeader,
    NoMatch,
    ParsedBody,
    TooNew,
    TooOld,
    UntrustedHost,
    VerifyError,
)
from postrider_receiver.event import WebhookEvent
from postrider_receiver.profile import HexHeader, Profile
from postrider_receiver.secret import HmacKey, decode_base64, secret_keys

# as all Standard Webhooks libraries have it
TOLERANCE_SECONDS = 300
DANGER_ANY_AGE = math.inf

_MAC_BYTES = 32
# the data of an envelope may be as deep as JSON may be at all
_ENVELOPE_LEVELS = 1

Body = bytes | bytearray | memoryview | str
Headers = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


class Verifier:
    """Verifies deliveries with the secrets of one receiver: the current one and, during a
    rotation, the older ones. Thread-safe.

    `profile` is a `Profile` or the name of a built-in one; left out, the first secret tells.
    `tolerance_seconds` is how far a signed time may lie from now, to either side; with
    `DANGER_ANY_AGE`, a delivery once seen can be replayed for ever: keep an inbox.
    `trusted_hosts` is an allow list for the profile's server host header, such as
    `["https://api.automa.app"]`; left out, the header is not looked at.
    `now` tells the seconds since 1970.
    """

    def __init__(
        self,
        secrets: str | Iterable[str],
        profile: Profile | str | None = None,
        *,
        tolerance_seconds: float = TOLERANCE_SECONDS,
        trusted_hosts: Collection[str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        texts = [secrets] if isinstance(secrets, str) else list(secrets)
        self.profile = Profile.chosen(profile, texts)
        keys = [secret_keys(text, self.profile.secret_format) for text in texts]
        self._keys = [key for each in keys for key in each]
        self._own_keys = [own for own, *_ in keys]
        self._tolerance_seconds = tolerance_seconds
        self._trusted_hosts = (
            None if trusted_hosts is None else set(map(_comparable, trusted_hosts))
        )
        self._now = now

    def verify(self, body: Body, headers: Headers) -> WebhookEvent:
        """The event of a genuine delivery; raises a `VerifyError` for every other.

        `body` is exactly what arrived. `headers` is what the framework has, names in any case.
        """
        raw = raw_body(body)
        found = _by_lower_name(headers)
        listed = found.get(self.profile.signature_header)
        if listed is None:
            claim = self._verified_hex(raw, found)
        else:
            claim = self._verified_list(raw, found, listed)
        return WebhookEvent(claim.id, claim.seconds, raw, self._host(found))

    def _claims(self, body: bytes, headers: dict[str, str]) -> Iterator["_Claim"]:
        """What may have been signed, likeliest first; each is made only when it is needed."""
        is_automa = self.profile.signature_list == "automa"
        try:
            in_headers = _claim_in_headers(self.profile, headers, body)
        except MissingHeader:
            if not is_automa or _claim_in_body(body) is None:
                raise
        else:
            yield in_headers
            if self.profile.body_form == "ecma":
                yield from in_headers.rewritten(canonical.ecma)
        if is_automa and (in_body := _claim_in_body(body)) is not None:
            yield in_body
            yield from in_body.rewritten(canonical.jcs)

    def _verified_list(self, body: bytes, headers: dict[str, str], listed: str) -> "_Claim":
        elements = listed.encode("utf-8", "surrogatepass").split(b" ")
        try:
            return self._signed_claim(body, headers, elements)
        except VerifyError:
            # A list without a sound element matches nothing, and is the first thing that is wrong
            if not any(map(_is_sound, elements)):
                raise MalformedHeader(self.profile.signature_header) from None
            raise

    def _signed_claim(
        self, body: bytes, headers: dict[str, str], elements: list[bytes]
    ) -> "_Claim":
        age_error: VerifyError | None = None
        is_any_in_time = False
        for claim in self._claims(body, headers):
            error = self._age_error(claim.seconds)
            if error is not None:
                age_error = age_error or error
                continue
            is_any_in_time = True
            text = claim.signed_text()
            for key in self._keys:
                if key.has_signed(text, elements):
                    return claim
        raise NoMatch if is_any_in_time or age_error is None else age_error

    def _verified_hex(self, body: bytes, headers: dict[str, str]) -> "_Claim":
        """Without a list of signatures, the body's own is checked, if the profile has one."""
        header = self.profile.hex_header
        if header is None or header.name not in headers:
            raise MissingHeader(self.profile.signature_header)
        signature = _hex_signature(header, headers[header.name])
        claim = _claim_in_body(body)
        if claim is None:
            raise MalformedBody
        error = self._age_error(claim.seconds)
        if error is not None:
            raise error
        claims = [claim]
        if self.profile.body_form == "ecma":
            claims.extend(claim.rewritten(canonical.ecma))
        for each in claims:
            for key in self._own_keys:
                if isinstance(key, HmacKey) and compare_digest(key.mac(each.body), signature):
                    return claim
        raise NoMatch

    def _host(self, headers: dict[str, str]) -> str | None:
        """The server that says it sent this, checked against the allow list."""
        name = self.profile.server_host_header
        if name is None:
            return None
        host = headers.get(name)
        if self._trusted_hosts is None:
            return host
        if host is None:
            raise MissingHeader(name)
        if _comparable(host) not in self._trusted_hosts:
            raise UntrustedHost(name)
        return host

    def _age_error(self, seconds: int) -> VerifyError | None:
        age_seconds = math.floor(self._now()) - seconds
        if age_seconds > self._tolerance_seconds:
            return TooOld(age_seconds)
        if -age_seconds > self._tolerance_seconds:
            return TooNew(-age_seconds)
        return None


def verify(
    body: Body,
    headers: Headers,
    secrets: str | Iterable[str],
    profile: Profile | str | None = None,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    trusted_hosts: Collection[str] | None = None,
    now: Callable[[], float] = time.time,
) -> WebhookEvent:
    """Verifies one delivery; see `Verifier`, which reads the secrets once for many."""
    verifier = Verifier(
        secrets, profile, tolerance_seconds=tolerance_seconds, trusted_hosts=trusted_hosts, now=now
    )
    return verifier.verify(body, headers)


def raw_body(body: object) -> bytes:
    """The bytes of a body in any of the types in which frameworks hand over raw ones."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8", "surrogateescape")
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body)
    raise ParsedBody(body)


def _comparable(url: str) -> str:
    return url.lower().removesuffix("/")


class _Claim(NamedTuple):
    """One reading of what was signed."""

    id: str
    seconds: int
    body: bytes

    def signed_text(self) -> bytes:
        return f"{self.id}.{self.seconds}.".encode("utf-8", "surrogatepass") + self.body

    def rewritten(self, form: Callable[..., bytes]) -> Iterator["_Claim"]:
        """The same over another form of the body, where there is one."""
        try:
            body = form(self.body, outer_levels=_ENVELOPE_LEVELS)
        except canonical.JsonError:
            return
        if body != self.body:
            yield self._replace(body=body)


def _by_lower_name(headers: Headers) -> dict[str, str]:
    if isinstance(headers, Mapping):
        return {name.lower(): value for name, value in headers.items()}
    return {_text(name).lower(): _text(value) for name, value in headers}


def _text(header: str | bytes) -> str:
    return header if isinstance(header, str) else header.decode("latin-1")


def _claim_in_headers(profile: Profile, headers: dict[str, str], body: bytes) -> _Claim:
    event_id = headers.get(profile.id_header)
    seconds = headers.get(profile.timestamp_header)
    if event_id is None:
        raise MissingHeader(profile.id_header)
    if seconds is None:
        raise MissingHeader(profile.timestamp_header)
    if not _is_joinable(event_id):
        raise MalformedHeader(profile.id_header)
    # digits alone: `int` would take signs, spaces, underscores and other scripts; 19 hold 64 bits
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 19):
        raise MalformedHeader(profile.timestamp_header)
    return _Claim(event_id, int(seconds), body)


def _claim_in_body(body: bytes) -> _Claim | None:
    try:
        payload = canonical.parse(body, outer_levels=_ENVELOPE_LEVELS)
    except canonical.JsonError:
        return None
    if not isinstance(payload, dict):
        return None
    event_id, when = payload.get("id"), payload.get("timestamp")
    if not (isinstance(event_id, str) and isinstance(when, str) and _is_joinable(event_id)):
        return None
    ms = timestamp.parse_ms(when)
    return None if ms is None else _Claim(event_id, ms // 1_000, body)


def _is_joinable(event_id: str) -> bool:
    """Whether an id can stand in the dot-joined signed text without being confused with what
    follows it."""
    return event_id != "" and "." not in event_id


def _is_sound(element: bytes) -> bool:
    """Whether an element of the list has the form `scheme,base64`."""
    _, comma, text = element.partition(b",")
    return comma != b"" and decode_base64(text) is not None


def _hex_signature(header: HexHeader, value: str) -> bytes:
    if value.startswith(header.value_prefix):
        digits = value[len(header.value_prefix) :]
        if len(digits) == 2 * _MAC_BYTES and digits.isalnum():
            try:
                return bytes.fromhex(digits)
            except ValueError:
                pass
    raise MalformedHeader(header.name)
