"""Signing as the server does, for the tests of a receiver."""

from collections.abc import Iterable

from postrider_receiver.profile import Profile
from postrider_receiver.secret import HmacKey, Key, secret_keys


def sign(
    body: bytes,
    *,
    event_id: str,
    secrets: str | Iterable[str],
    now_ms: int,
    event_time_ms: int | None = None,
    profile: Profile | str | None = None,
    server_host: str | None = None,
) -> dict[str, str]:
    """The headers that a delivery of this body has.

    `secrets` are the live ones, the current one first. `event_time_ms` is the timestamp in the
    body, left out: now. `server_host` is the server's public URL, for profiles that send it.
    """
    texts = [secrets] if isinstance(secrets, str) else list(secrets)
    profile = Profile.chosen(profile, texts)
    keys = [secret_keys(text, profile.secret_format) for text in texts]
    event_ms = now_ms if event_time_ms is None else event_time_ms
    is_event_time = 0 <= now_ms - event_ms < profile.event_time_age_ms
    seconds = (event_ms if is_event_time else now_ms) // 1_000
    if profile.signature_list == "automa":
        signed = _automa_list(keys, event_ms // 1_000, seconds)
    else:
        signed = [(own, seconds) for own, *_ in keys]
    headers = {
        profile.id_header: event_id,
        profile.timestamp_header: str(seconds),
        profile.signature_header: " ".join(
            key.sign(f"{event_id}.{time}.".encode() + body).decode() for key, time in signed
        ),
    }
    hex_key = next((own for own, *_ in keys if isinstance(own, HmacKey)), None)
    if profile.hex_header is not None and hex_key is not None:
        value = profile.hex_header.value_prefix + hex_key.mac(body).hex()
        headers[profile.hex_header.name] = value
    if profile.server_host_header is not None and server_host is not None:
        headers[profile.server_host_header] = server_host
    return headers


def _automa_list(keys: list[list[Key]], event_seconds: int, seconds: int) -> list[tuple[Key, int]]:
    """Automa's SDKs read the time out of the body, Standard Webhooks libraries decode the key and
    read the header; one of these reads only the last signature, so the current secret's is there.
    """
    times = [event_seconds] if event_seconds == seconds else [event_seconds, seconds]
    texts = [(own, time) for own, *_ in keys for time in times]
    decoded = [(key, seconds) for _, *others in keys for key in others]
    return texts + decoded[::-1]
