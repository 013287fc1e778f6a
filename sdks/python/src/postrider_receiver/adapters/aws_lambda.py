"""For AWS Lambda behind a function URL, an API Gateway or a load balancer."""

import base64
from collections.abc import Callable
from typing import Any

from postrider_receiver.receiver import Receiver


def handler(receiver: Receiver) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """A function handler: `handler = aws_lambda.handler(receiver)`.

    A function's memory ends with it: use a store outside of it, and not the mode `queued` unless
    its workers run elsewhere.
    """

    def receive(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        answer = receiver.handle(_body(event), _headers(event))
        return {
            "statusCode": answer.status,
            "headers": answer.headers,
            "body": answer.body.decode(),
            "isBase64Encoded": False,
        }

    return receive


def _body(event: dict[str, Any]) -> Any:
    body = event.get("body") or ""
    # anything else is for the verifier to refuse
    return base64.b64decode(body) if event.get("isBase64Encoded") else body


def _headers(event: dict[str, Any]) -> dict[str, str]:
    # a load balancer may send lists only
    lists = event.get("multiValueHeaders") or {}
    return event.get("headers") or {name: values[-1] for name, values in lists.items()}
