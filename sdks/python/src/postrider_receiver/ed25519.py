"""The asymmetric keys of Standard Webhooks, `v1a`. Needs the extra `ed25519`."""

import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from postrider_receiver.errors import SecretError
from postrider_receiver.secret import decode_base64

_SCHEME = b"v1a,"
_SEED_BYTES = 32


class PublicKey:
    """Verifies only."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def has_signed(self, text: bytes, elements: list[bytes], /) -> bool:
        listed = [
            decode_base64(each[len(_SCHEME) :]) for each in elements if each.startswith(_SCHEME)
        ]
        return any(self._is_signature(text, signature) for signature in listed if signature)

    def sign(self, _text: bytes, /) -> bytes:
        raise SecretError(
            "public_key", "a `whpk_` text is a public key and can't sign; use the `whsk_` key"
        )

    def _is_signature(self, text: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


class PrivateKey(PublicKey):
    """Signs too."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key.public_key())
        self._private = key

    def sign(self, text: bytes, /) -> bytes:
        return _SCHEME + binascii.b2a_base64(self._private.sign(text), newline=False)


def private_key(key: bytes) -> PrivateKey:
    """From a 32-byte seed, or the seed and its public key."""
    seed, public = key[:_SEED_BYTES], key[_SEED_BYTES:]
    if len(seed) == _SEED_BYTES:
        pair = Ed25519PrivateKey.from_private_bytes(seed)
        # a signature made with a foreign public key gives the private one away
        if not public or public == pair.public_key().public_bytes_raw():
            return PrivateKey(pair)
    raise SecretError(
        "bad_private_key",
        "a `whsk_` key is Base64 of 32 bytes, or of 64 that end in its public key",
    )


def public_key(key: bytes) -> PublicKey:
    try:
        return PublicKey(Ed25519PublicKey.from_public_bytes(key))
    except ValueError:
        raise SecretError("bad_public_key", "a `whpk_` key is Base64 of 32 bytes") from None
