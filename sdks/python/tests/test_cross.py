"""What third-party packages sign is verified here, and the other way round."""

import json
import time
from datetime import datetime, timezone

import pytest
from automa.bot.webhook import generate_webhook_signature, verify_webhook
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from postrider_receiver import NoMatch, sign, verify

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
AUTOMA = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef"
BODIES = ["{}", '{"a": 1.50, "é": "\\u00e9 \U0001f600"}', '[1,\n"\u2028"]']


@pytest.mark.parametrize("body", BODIES)
def test_what_standardwebhooks_signs_is_verified(body: str) -> None:
    now = datetime.now(tz=timezone.utc)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(STANDARD).sign("msg_1", now, body),
    }
    assert verify(body, headers, STANDARD).id == "msg_1"
    assert verify(body.encode(), headers, [STANDARD_OTHER, STANDARD]).id == "msg_1"
    with pytest.raises(NoMatch):
        verify(body, headers, STANDARD_OTHER)


@pytest.mark.parametrize("body", BODIES)
def test_standardwebhooks_verifies_what_is_signed_here(body: str) -> None:
    secrets = [STANDARD_OTHER, STANDARD]
    headers = sign(body.encode(), event_id="msg_1", secrets=secrets, now_ms=now_ms())
    for secret in secrets:
        assert Webhook(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(STANDARD).verify(body + " ", headers)


def test_standardwebhooks_verifies_the_other_profiles_with_their_decoded_keys() -> None:
    body = automa_body()
    headers = sign(body.encode(), event_id="1", secrets=AUTOMA, now_ms=now_ms())
    assert Webhook(AUTOMA.removeprefix("atma_whsec_")).verify(body, headers)


def test_what_automa_bot_signs_is_verified() -> None:
    body = automa_body()
    headers = {"webhook-signature": generate_webhook_signature(AUTOMA, body)}
    event = verify(body, headers, AUTOMA)
    assert (event.id, event.type) == ("whmsg_task_created_1", "task.created")


def test_automa_bot_verifies_what_is_signed_here() -> None:
    for delay_ms in (0, 600_000):
        body = automa_body(now_ms() - delay_ms)
        headers = sign(
            body.encode(),
            event_id="whmsg_task_created_1",
            secrets=AUTOMA,
            now_ms=now_ms(),
            event_time_ms=now_ms() - delay_ms,
        )
        assert verify_webhook(AUTOMA, headers["webhook-signature"], body)
        assert verify(body, headers, AUTOMA).id == "whmsg_task_created_1"
        assert not verify_webhook(AUTOMA + "x", headers["webhook-signature"], body)


def automa_body(at_ms: int | None = None) -> str:
    when = datetime.fromtimestamp((at_ms or now_ms()) // 1_000, tz=timezone.utc)
    return json.dumps(
        {
            "id": "whmsg_task_created_1",
            "type": "task.created",
            "timestamp": when.isoformat().replace("+00:00", "Z"),
            "data": {"task": {"id": 1, "title": "é"}},
        }
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000
