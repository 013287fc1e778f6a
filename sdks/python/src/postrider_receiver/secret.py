"""Secrets: their text formats, and the keys made of them."""

import binascii
import hmac
from types import ModuleType
from typing import Protocol

from postrider_receiver.errors import SecretError
from postrider_receiver.profile import SecretFormat

# from Standard Webhooks
_KEY_BYTES_MIN = 24
_KEY_BYTES_MAX = 64
# A bound for what is hashed; the formats name none
_TEXT_BYTES_MAX = 1_024

_PRIVATE_PREFIX = "whsk_"
_PUBLIC_PREFIX = "whpk_"


class Key(Protocol):
    """What a listed signature is checked with, and made with."""

    def has_signed(self, text: bytes, elements: list[bytes], /) -> bool:
        """Whether one of these elements of a list is this key's signature of the text."""

    def sign(self, text: bytes, /) -> bytes:
        """An element of a list: `scheme,base64`."""


class HmacKey:
    """A shared key: `v1`."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mac(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, "sha256")

    def sign(self, text: bytes) -> bytes:
        return b"v1," + binascii.b2a_base64(self.mac(text), newline=False)

    def has_signed(self, text: bytes, elements: list[bytes]) -> bool:
        expected = self.sign(text)
        # all of them, in a time that does not tell which one matches or where one differs
        return any([hmac.compare_digest(expected, element) for element in elements])


def secret_keys(text: str, secret_format: SecretFormat) -> list[Key]:
    """The keys of a secret: its format's own, and behind it a text key's Base64 reading, with
    which Standard Webhooks libraries sign."""
    if not text:
        raise SecretError("empty", "the secret is empty")
    if len(text.encode()) > _TEXT_BYTES_MAX:
        raise SecretError("too_long", f"the secret is longer than {_TEXT_BYTES_MAX} bytes")
    if secret_format.key == "whole":
        return [HmacKey(text.encode())]
    if secret_format.key == "text":
        return _text_keys(_after_prefix(text, secret_format.prefix))
    if text.startswith(_PUBLIC_PREFIX):
        return [public_key(text)]
    if text.startswith(_PRIVATE_PREFIX):
        return [_ed25519().private_key(_decoded(text[len(_PRIVATE_PREFIX) :]))]
    return [HmacKey(_shared_key(_after_prefix(text, secret_format.prefix)))]


def public_key(text: str) -> Key:
    """An ed25519 public key, `whpk_…`: verifies only."""
    key: Key = _ed25519().public_key(_decoded(_after_prefix(text, _PUBLIC_PREFIX)))
    return key


def _after_prefix(text: str, prefix: str) -> str:
    if not text.startswith(prefix):
        raise SecretError(
            "wrong_prefix", f"the secret must start with `{prefix}`; or choose another profile"
        )
    if text == prefix:
        raise SecretError("empty", "the secret is empty")
    return text[len(prefix) :]


def _text_keys(text: str) -> list[Key]:
    keys: list[Key] = [HmacKey(text.encode())]
    decoded = decode_base64(text)
    if decoded is not None:
        keys.append(HmacKey(decoded))
    return keys


def _shared_key(text: str) -> bytes:
    key = _decoded(text)
    if not _KEY_BYTES_MIN <= len(key) <= _KEY_BYTES_MAX:
        raise SecretError(
            "weak",
            f"the secret decodes to {len(key)} bytes; use {_KEY_BYTES_MIN} to {_KEY_BYTES_MAX}",
        )
    return key


def _decoded(text: str) -> bytes:
    decoded = decode_base64(text)
    if decoded is None:
        raise SecretError(
            "not_base64", "what follows the secret's prefix is not standard Base64 with padding"
        )
    return decoded


def _ed25519() -> ModuleType:
    """Imported only where such a key is used, as it needs an extra."""
    try:
        from postrider_receiver import ed25519
    except ImportError:
        raise SecretError(
            "ed25519_unsupported",
            "ed25519 keys need `cryptography`: pip install 'postrider-receiver[ed25519]'",
        ) from None
    return ed25519


def decode_base64(text: str | bytes) -> bytes | None:
    """Standard Base64 with padding, in the one spelling that encoding gives; None for others."""
    given = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        decoded = binascii.a2b_base64(given)
    except binascii.Error:
        return None
    return decoded if binascii.b2a_base64(decoded, newline=False) == given else None
