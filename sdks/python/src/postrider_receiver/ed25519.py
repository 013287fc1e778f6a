"""The asymmetric keys of Standard Webhooks, `v1a`. Needs the extra `ed25519`."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from postrider_receiver.errors import SecretError

_SEED_BYTES = 32


class PublicKey:
    """Verifies only."""

    scheme = "v1a"

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def has_signed(self, text: bytes, signatures: list[bytes]) -> bool:
        return any(self._is_signature(text, signature) for signature in signatures)

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
        return self._private.sign(text)


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
