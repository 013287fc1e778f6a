"""The repository's `vectors/`, read: their shape is explained in `vectors/README.md`."""

import base64
import json
from pathlib import Path
from typing import Any

from postrider_receiver import HexHeader, Profile, SecretFormat

Case = dict[str, Any]

_FOLDER = Path(__file__).parents[3] / "vectors"


def cases(file: str, part: str) -> list[Case]:
    found: list[Case] = json.loads((_FOLDER / f"{file}.json").read_bytes())[part]
    return found


def value(file: str, part: str) -> Any:
    return json.loads((_FOLDER / f"{file}.json").read_bytes())[part]


def name_of(case: Case) -> str:
    return str(case["name"])


def content(case: Case, field: str) -> bytes:
    """The bytes of a `body` or an `input`."""
    if field in case:
        return str(case[field]).encode()
    return base64.b64decode(case[f"{field}_base64"])


def profile(given: str | Case) -> Profile:
    if isinstance(given, str):
        return Profile.builtin(given)
    rule = given["timestamp_rule"]
    return Profile(
        given["name"],
        SecretFormat(given["secret_prefix"], given["key"]),
        id_header=given["list_headers"]["id"],
        timestamp_header=given["list_headers"]["timestamp"],
        signature_header=given["list_headers"]["signature"],
        body_form=given["body_form"],
        signature_list=given["signature_list"],
        hex_header=HexHeader(**given["hex_header"]) if given["hex_header"] else None,
        server_host_header=given["server_host_header"],
        event_time_age_ms=0 if rule == "attempt" else rule["event_while_younger_than_ms"],
    )
