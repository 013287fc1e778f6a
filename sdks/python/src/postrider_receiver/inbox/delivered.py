"""What became of a delivery, and the HTTP status that answers it."""

from dataclasses import dataclass
from typing import Literal

from postrider_receiver.inbox.record import Accepted, Dead, Done, Failed, New, OtherBody, Running


@dataclass(frozen=True)
class Delivered:
    """A sender tries again whatever is not answered with 2xx, so only what is safe with us is."""

    outcome: Literal["new", "done", "accepted", "running", "failed", "dead", "other_body", "lost"]
    status: int
    retry_after_seconds: int | None = None


def delivered(
    outcome: New | Done | Accepted | Running | Failed | Dead | OtherBody,
) -> Delivered:
    match outcome:
        case New(status):
            return Delivered("new", status)
        case Done(status):
            return Delivered("done", status)
        case Accepted():
            return Delivered("accepted", 202)
        case Running(seconds):
            return Delivered("running", 409, seconds)
        case Failed():
            return Delivered("failed", 500)
        case Dead():
            return Delivered("dead", 202)
        case OtherBody():
            return Delivered("other_body", 422)


def lost(retry_after_seconds: int) -> Delivered:
    return Delivered("lost", 409, retry_after_seconds)
