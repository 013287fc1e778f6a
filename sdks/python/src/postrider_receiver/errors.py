"""Why a delivery is not accepted: one class for each step that can fail.

`code` is stable and the same in all receiver SDKs; `status` is what to answer the sender.
"""

from typing import ClassVar


class VerifyError(Exception):
    """A delivery that was not verified. Its subclasses stand in the order of the checks."""

    code: ClassVar[str]
    status: ClassVar[int] = 401


class MissingHeader(VerifyError):
    code = "missing_header"

    def __init__(self, name: str) -> None:
        super().__init__(f"the header `{name}` is missing")
        self.header = name


class MalformedHeader(VerifyError):
    code = "malformed_header"

    def __init__(self, name: str) -> None:
        super().__init__(f"the header `{name}` is malformed")
        self.header = name


class MalformedBody(VerifyError):
    """Only where id and time are read from the body."""

    code = "malformed_body"
    status = 400

    def __init__(self) -> None:
        super().__init__("the body is not a JSON object with an `id` and a `timestamp`")


class TooOld(VerifyError):
    code = "too_old"
    status = 400

    def __init__(self, seconds: int) -> None:
        super().__init__(f"signed {seconds} s ago, longer than is tolerated")
        self.seconds = seconds


class TooNew(VerifyError):
    code = "too_new"
    status = 400

    def __init__(self, seconds: int) -> None:
        super().__init__(f"signed for {seconds} s from now, further ahead than is tolerated")
        self.seconds = seconds


class NoMatch(VerifyError):
    code = "no_match"

    def __init__(self) -> None:
        super().__init__("no signature matches: the secret is another one, or the body was changed")


class UntrustedHost(VerifyError):
    """Signed with the right secret, but by a server that is not on the allow list."""

    code = "untrusted_host"

    def __init__(self, name: str) -> None:
        super().__init__(f"the header `{name}` names a server that is not on the allow list")
        self.header = name


class ParsedBody(TypeError):
    """The body is no longer the bytes that were signed: a mistake of the receiver's, so no
    `VerifyError`."""

    code: ClassVar[str] = "parsed_body"

    def __init__(self, found: object) -> None:
        super().__init__(
            "the raw body is needed to verify a signature, but it was parsed"
            f" ({type(found).__name__}). Pass `await request.body()` (FastAPI, Starlette),"
            " `request.get_data()` (Flask), `request.body` (Django) or `event['body']`"
            " (AWS Lambda; decode it first where it `isBase64Encoded`)"
        )


class SecretError(ValueError):
    """A text that is no secret of its profile. The message repeats nothing of it.

    `code` is one of `empty`, `too_long`, `wrong_prefix`, `not_base64`, `weak`, `public_key`,
    `bad_private_key`, `bad_public_key` and `ed25519_unsupported`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
