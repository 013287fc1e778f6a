"""Profiles: everything that differs between senders, as data.

`Verifier` and `sign` read these parameters and know no profile by name, so a brand of one's own is
a `Profile` like the built-in ones.
"""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class SecretFormat:
    """How a secret is written and which part of it is the HMAC key.

    `base64`: Base64 of 24 to 64 bytes after the prefix (ed25519's `whsk_` and `whpk_` texts are
    taken too). `text`: the text after the prefix, not decoded. `whole`: all of the text.
    """

    prefix: str
    key: Literal["base64", "text", "whole"]


@dataclass(frozen=True)
class HexHeader:
    """A header `name: {value_prefix}{lower-case hex of HMAC-SHA256(key, body)}`."""

    name: str
    value_prefix: str


@dataclass(frozen=True)
class Profile:
    """The wire parameters of signing. Header names are in lower case."""

    name: str
    secret_format: SecretFormat
    id_header: str = "webhook-id"
    timestamp_header: str = "webhook-timestamp"
    signature_header: str = "webhook-signature"
    # how the sender writes bodies; where a body was respelt on its way, its `ecma` form counts too
    body_form: Literal["verbatim", "ecma", "jcs"] = "verbatim"
    # Automa's SDKs sign the id and time of the body, over the body as it is or with sorted keys
    signature_list: Literal["per_secret", "automa"] = "per_secret"
    hex_header: HexHeader | None = None
    server_host_header: str | None = None
    # Only for signing: the event's own time is signed while it is younger than this and not in the
    # future, else the attempt's (with 0, always). Libraries refuse 300 s; this leaves a minute
    event_time_age_ms: int = 240_000

    @staticmethod
    def standard() -> "Profile":
        """Standard Webhooks."""
        return Profile("standard", SecretFormat("whsec_", "base64"))

    @staticmethod
    def automa() -> "Profile":
        """Automa bots."""
        return Profile(
            "automa",
            SecretFormat("atma_whsec_", "text"),
            body_form="jcs",
            signature_list="automa",
            server_host_header="x-automa-server-host",
        )

    @staticmethod
    def autonoma() -> "Profile":
        """Autonoma bots."""
        return Profile(
            "autonoma",
            SecretFormat("", "whole"),
            body_form="ecma",
            hex_header=HexHeader("x-autonoma-signature", "sha256="),
        )

    @staticmethod
    def builtin(name: str) -> "Profile":
        """The built-in profile of a name; raises `KeyError` for others."""
        return _BUILTIN[name]

    @staticmethod
    def for_secret(text: str) -> "Profile":
        """The built-in profile whose secret format a secret has, for receivers that name none."""
        if text.startswith("atma_whsec_"):
            return Profile.automa()
        if text.startswith(("whsec_", "whsk_", "whpk_")):
            return Profile.standard()
        return Profile.autonoma()

    @staticmethod
    def chosen(given: "Profile | str | None", secrets: list[str]) -> "Profile":
        """The profile given or named; else the one that the first secret tells."""
        if isinstance(given, Profile):
            return given
        if given is not None:
            return Profile.builtin(given)
        if not secrets:
            raise ValueError("name a profile, or give a secret that tells it")
        return Profile.for_secret(secrets[0])

    def with_header_prefix(self, prefix: str) -> "Profile":
        """The same with the headers `{prefix}id`, `{prefix}timestamp` and `{prefix}signature`."""
        lower = prefix.lower()
        return replace(
            self,
            id_header=f"{lower}id",
            timestamp_header=f"{lower}timestamp",
            signature_header=f"{lower}signature",
        )


_BUILTIN = {
    profile.name: profile for profile in (Profile.standard(), Profile.automa(), Profile.autonoma())
}
