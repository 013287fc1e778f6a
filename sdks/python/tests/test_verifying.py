"""Verifying, beside what the vectors say."""

import math
import random
import struct
import subprocess
import sys
from typing import Any

import pytest
from werkzeug.datastructures import Headers as WerkzeugHeaders

from postrider_receiver import (
    MissingHeader,
    NoMatch,
    ParsedBody,
    Profile,
    SecretError,
    SecretFormat,
    Verifier,
    VerifyError,
    WebhookEvent,
    canonical,
    sign,
    timestamp,
    verify,
)

SECRET = "your-webhook-secret"
NOW = 1_753_678_681.5
BODY = (
    '{"id":"evt_1","type":"code.generated","timestamp":"2025-07-28T04:58:00.999Z",'
    '"data":{"repository":"acme/web","note":"é"}}'
).encode()
HEADERS = sign(
    BODY,
    event_id="evt_1",
    secrets=SECRET,
    now_ms=int(NOW * 1_000),
    event_time_ms=1_753_678_680_999,
)


def verified(body: Any, headers: Any = HEADERS) -> WebhookEvent:
    return verify(body, headers, SECRET, now=lambda: NOW)


def test_the_event_is_typed() -> None:
    event = verified(BODY)
    assert event.id == "evt_1"
    assert event.signed_at_seconds == 1_753_678_680
    assert event.type == "code.generated"
    assert event.data == {"repository": "acme/web", "note": "é"}
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2025-07-28T04:58:00.999000+00:00"
    assert event.body == BODY


def test_a_body_that_is_no_envelope_is_an_event_without_type() -> None:
    for body in (b"[1]", b'{"type":1,"timestamp":"0000-01-01T00:00:00Z"}'):
        event = WebhookEvent("evt_1", 0, body)
        assert event.type == ""
        assert event.occurred_at is None
        assert event.data is None
    with pytest.raises(ValueError, match="Expecting value"):
        _ = WebhookEvent("evt_1", 0, b"no JSON").data


@pytest.mark.parametrize("given", [BODY, bytearray(BODY), memoryview(BODY), BODY.decode()])
def test_raw_bodies_come_in_several_types(given: Any) -> None:
    assert verified(given).body == BODY


@pytest.mark.parametrize("given", [{"id": "evt_1"}, [1], None, 1])
def test_a_parsed_body_is_refused_with_the_way_to_the_raw_one(given: Any) -> None:
    with pytest.raises(ParsedBody, match=r"await request\.body\(\).*get_data.*request\.body"):
        verified(given)


@pytest.mark.parametrize(
    "given",
    [
        {name.title(): value for name, value in HEADERS.items()},
        [(name.upper().encode(), value.encode()) for name, value in HEADERS.items()],
        WerkzeugHeaders(HEADERS),
    ],
)
def test_headers_come_in_several_types(given: Any) -> None:
    assert verified(BODY, given).id == "evt_1"


def test_a_secret_alone_chooses_the_profile() -> None:
    assert Verifier(SECRET).profile == Profile.autonoma()
    assert Verifier(["atma_whsec_secret"]).profile == Profile.automa()
    with pytest.raises(ValueError, match="name a profile"):
        Verifier([])
    with pytest.raises(KeyError):
        Verifier(SECRET, "another")


def test_a_brand_has_its_own_headers_and_prefix() -> None:
    brand = Profile("acme", SecretFormat("acme_", "text")).with_header_prefix("Acme-")
    headers = sign(BODY, event_id="evt_1", secrets="acme_secret", now_ms=1_000, profile=brand)
    assert set(headers) == {"acme-id", "acme-timestamp", "acme-signature"}
    event = verify(BODY, headers, "acme_secret", brand, now=lambda: 1)
    assert event.id == "evt_1"
    with pytest.raises(MissingHeader):
        verify(BODY, HEADERS, "acme_secret", brand, now=lambda: 1)


def test_secrets_appear_in_no_error_and_no_repr() -> None:
    verifier = Verifier(SECRET, now=lambda: NOW)
    with pytest.raises(NoMatch) as caught:
        verifier.verify(BODY + b" ", HEADERS | {"webhook-signature": "v1,AAAA"})
    assert SECRET not in f"{verifier!r} {caught.value!r} {vars(verifier)!r}"
    with pytest.raises(SecretError) as refused:
        Verifier("whsec_" + "secret " * 10)
    assert "secret " * 2 not in str(refused.value)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_no_header_makes_it_raise_anything_else(name: str) -> None:
    hostile = [
        "",
        "\x00",
        "é",
        "\ud800",
        "9" * 5_000,
        "²",
        "١",
        "1e400",
        "v1,",
        "v1,\u00b2",
        ",",
        " ",
    ]
    for value in hostile:
        with pytest.raises(VerifyError):
            verified(BODY, HEADERS | {name: value})


def test_bodies_of_any_kind_are_refused_or_verified() -> None:
    noise = random.Random(5)
    pieces = [b"{", b"[", b'"', b"\\u", b"\xff", b"1e999", b"}", b":", b'"id"', b"\xed\xa0\x80"]
    for _ in range(2_000):
        body = b"".join(noise.choices(pieces, k=noise.randrange(12)))
        with pytest.raises(VerifyError):
            verified(body)


def test_only_the_standard_library_is_imported_for_hmac() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; import postrider_receiver as p; p.Verifier('your-webhook-secret');"
            "print({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names"
            " - {'__main__', 'postrider_receiver'})",
        ],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    others = eval(told.stdout)
    assert not others & {"cryptography", "psycopg", "redis", "starlette", "flask", "django"}


def test_random_doubles_are_written_as_javascript_does() -> None:
    # every double reads back from its shortest text, and each kind of text is met
    noise = random.Random(7)
    kinds = set()
    for _ in range(20_000):
        (value,) = struct.unpack("<d", noise.randbytes(8))
        if noise.random() < 0.5:
            value = noise.uniform(-1, 1) * 10.0 ** noise.randint(-10, 25)
        if not math.isfinite(value):
            continue
        text = canonical.number_text(value)
        assert float(text) == value
        digits = text.lstrip("-")
        kinds.add(("e" in digits, "." in digits, digits.startswith("0.")))
        if "e" not in digits:
            assert 1e-7 < abs(value) < 1e21
    assert len(kinds) == 4


def test_timestamps_of_all_years_are_read() -> None:
    assert timestamp.parse_ms("0000-01-01T00:00:00Z") == -62_167_219_200_000
    assert timestamp.parse_ms("0000-02-29T00:00:00Z") == -62_162_121_600_000
    assert timestamp.parse_ms("1969-12-31T23:59:59.9999Z") == -1
    assert timestamp.parse_ms("2025-07-28t04:58:00.5+05:30") == 1_753_658_880_500
    assert timestamp.parse_ms("9999-12-31 23:59:59.999-00:00") == 253_402_300_799_999
    for text in (
        "2025-07-28",
        "2025-07-28T04:58:00",
        "2025-07-28T04:58:00.Z",
        "2025-02-29T00:00:00Z",
        "2025-07-28T24:00:00Z",
        "2025-07-28T23:59:60Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "２０２５-07-28T04:58:00Z",
        "2025-07-28T04:58:00Z\n",
    ):
        assert timestamp.parse_ms(text) is None, text
