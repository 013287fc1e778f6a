"""Every case of `vectors/` about bytes and signatures."""

from typing import Any

import pytest
import vectors
from vectors import Case

from postrider_receiver import (
    DANGER_ANY_AGE,
    MalformedHeader,
    MissingHeader,
    Profile,
    SecretError,
    TooNew,
    TooOld,
    Verifier,
    VerifyError,
    canonical,
    sign,
)
from postrider_receiver.secret import public_key, secret_keys


def each(file: str, part: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", vectors.cases(file, part), ids=vectors.name_of)


def verifier(case: Case) -> Verifier:
    return Verifier(
        case["keys"],
        vectors.profile(case["profile"]),
        tolerance_seconds=(
            DANGER_ANY_AGE if case["tolerance_seconds"] is None else case["tolerance_seconds"]
        ),
        trusted_hosts=case.get("trusted_hosts"),
        now=lambda: case["now_ms"] / 1_000,
    )


@each("signatures", "sign")
def test_signs_as_the_server_does(case: Case) -> None:
    profile = vectors.profile(case["profile"])
    body = vectors.content(case, "body")
    headers = sign(
        body,
        event_id=case["id"],
        secrets=case["secrets"],
        now_ms=case["now_ms"],
        event_time_ms=case["event_time_ms"],
        profile=profile,
        server_host=case.get("server_host"),
    )
    assert headers == case["headers"]
    for keys in case["verify_with"]:
        found = Verifier(keys, profile, now=lambda: case["now_ms"] / 1_000).verify(body, headers)
        assert found.id == case["id"]
        assert found.signed_at_seconds == int(headers[profile.timestamp_header])
        assert found.body == body


@each("signatures", "accept")
def test_accepts_what_others_sign(case: Case) -> None:
    found = verifier(case).verify(vectors.content(case, "body"), case["headers"])
    assert {"id": found.id, "timestamp_seconds": found.signed_at_seconds} == case["accepted"]


@each("rejections", "cases")
def test_says_which_step_failed(case: Case) -> None:
    with pytest.raises(VerifyError) as caught:
        verifier(case).verify(vectors.content(case, "body"), case["headers"])
    assert described(caught.value) == case["rejected"]


def described(error: VerifyError) -> Case:
    described: Case = {"code": error.code, "status": error.status}
    match error:
        case MissingHeader(header=header) | MalformedHeader(header=header):
            described["header"] = header
        case TooOld(seconds=seconds) | TooNew(seconds=seconds):
            described["seconds"] = seconds
    return described


@each("secrets", "parse")
def test_reads_secrets(case: Case) -> None:
    secret_format = Profile.builtin(case["profile"]).secret_format
    assert read_error(lambda: secret_keys(case["secret"], secret_format)) == case.get("error")


@each("secrets", "public_keys")
def test_reads_public_keys(case: Case) -> None:
    assert read_error(lambda: public_key(case["key"])) == case.get("error")


def read_error(read: Any) -> str | None:
    try:
        read()
    except SecretError as error:
        return error.code
    return None


@each("secrets", "profile_for")
def test_the_secret_chooses_the_profile(case: Case) -> None:
    assert Profile.for_secret(case["secret"]).name == case["profile"]


@each("canonical", "forms")
def test_writes_both_forms(case: Case) -> None:
    text = vectors.content(case, "input")
    how = {"numbers": case.get("numbers", "refuse"), "outer_levels": case.get("outer_levels", 0)}
    assert canonical.ecma(text, **how).decode() == case["ecma"]
    assert canonical.jcs(text, **how).decode() == case["jcs"]


@each("canonical", "refusals")
def test_refuses_what_receivers_cannot_read(case: Case) -> None:
    how = {"numbers": case.get("numbers", "refuse"), "outer_levels": case.get("outer_levels", 0)}
    with pytest.raises(canonical.JsonError) as caught:
        canonical.jcs(vectors.content(case, "input"), **how)
    assert caught.value.code == case["code"]
    assert case.get("pointer", caught.value.pointer) == caught.value.pointer
