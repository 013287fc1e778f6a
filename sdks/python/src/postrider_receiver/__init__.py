"""Receives webhooks: verifies each one, and handles each event exactly once."""

from postrider_receiver.errors import (
    MalformedBody,
    MalformedHeader,
    MissingHeader,
    NoMatch,
    ParsedBody,
    SecretError,
    TooNew,
    TooOld,
    UntrustedHost,
    VerifyError,
)
from postrider_receiver.event import WebhookEvent
from postrider_receiver.inbox.delivered import Delivered
from postrider_receiver.inbox.heartbeat import LeaseLost
from postrider_receiver.inbox.leased import Lease, LeasedInbox
from postrider_receiver.inbox.locks import Lock, LockHeld, with_lock
from postrider_receiver.inbox.queued import QueuedInbox
from postrider_receiver.inbox.transactional import TransactionalInbox
from postrider_receiver.inbox.worker import Worker
from postrider_receiver.profile import HexHeader, Profile, SecretFormat
from postrider_receiver.receiver import Answer, Receiver
from postrider_receiver.signing import sign
from postrider_receiver.verifying import DANGER_ANY_AGE, Verifier, verify

__all__ = [
    "DANGER_ANY_AGE",
    "Answer",
    "Delivered",
    "HexHeader",
    "Lease",
    "LeaseLost",
    "LeasedInbox",
    "Lock",
    "LockHeld",
    "MalformedBody",
    "MalformedHeader",
    "MissingHeader",
    "NoMatch",
    "ParsedBody",
    "Profile",
    "QueuedInbox",
    "Receiver",
    "SecretError",
    "SecretFormat",
    "TooNew",
    "TooOld",
    "TransactionalInbox",
    "UntrustedHost",
    "Verifier",
    "VerifyError",
    "WebhookEvent",
    "Worker",
    "sign",
    "verify",
    "with_lock",
]
