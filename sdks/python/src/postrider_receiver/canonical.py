"""The strict reading of JSON, and the two forms of a body that are made of it.

`ecma` gives what JavaScript's `JSON.stringify(JSON.parse(text))` gives, `jcs` (RFC 8785) the same
with every object's keys sorted by their UTF-16 code units. Senders that sign a body which they
parsed and wrote again sign one of these, so it can be made again from what arrived. Texts that some
receivers can't read are refused; see `vectors/README.md`.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from typing import Any, Literal

# How deep arrays and objects may nest: `[]` is 1 deep
DEPTH_MAX = 64

Numbers = Literal["refuse", "stringify", "round"]

_SPACE = re.compile(r"[ \t\n\r]*")
# what most values are: an integer that a double holds, or a string without escapes
_SIMPLE = re.compile(
    r"""[ \t\n\r]*
    (?: (-?(?:0|[1-9][0-9]{0,14})) (?![0-9.eE]) | "([^"\\\x00-\x1f]*)" )
    [ \t\n\r]*""",
    re.VERBOSE,
)
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]+")
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_WORDS = {value: word for word, value in _LITERALS.values()}
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

# Integers of up to this many characters are below 2**53, so a double holds them
_EXACT_CHARACTERS = 15
_POINTER_BYTES_MAX = 512
# ECMA-262, "array index": 0 to 2**32 - 2 in plain digits
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_ARRAY_INDEX_MAX = 2**32 - 2

_KeyOrder = Callable[[Iterable[str]], list[str]]


class JsonError(ValueError):
    """A text that is refused.

    `code` is one of `syntax`, `invalid_utf8`, `too_deep`, `lone_surrogate`, `number_overflow`,
    `forbidden_key` and `inexact_integer`; `pointer` (RFC 6901) leads to the value at fault.
    """

    def __init__(self, code: str, path: Iterable[str | int] = ()) -> None:
        self.code = code
        self.pointer = _pointer(path)
        super().__init__(f"{code} (JSON pointer {self.pointer!r})")


def parse(text: bytes, *, numbers: Numbers = "round", outer_levels: int = 0) -> Any:
    """The value of a JSON text, read strictly.

    Numbers are doubles, as JavaScript has them; integers that a double holds may come as `int`. Of
    equal keys, the last value stands at the place of the first. `numbers` says what becomes of an
    integer in plain digits that no double holds. `outer_levels` are allowed on top of `DEPTH_MAX`.
    """
    if text.startswith(_BYTE_ORDER_MARKS):
        raise JsonError("syntax")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonError("invalid_utf8") from None
    return _Reader(decoded, numbers, DEPTH_MAX + outer_levels).document()


def ecma(text: bytes, *, numbers: Numbers = "round", outer_levels: int = 0) -> bytes:
    """`JSON.stringify(JSON.parse(text))` in UTF-8."""
    return _written(parse(text, numbers=numbers, outer_levels=outer_levels), _property_order)


def jcs(text: bytes, *, numbers: Numbers = "round", outer_levels: int = 0) -> bytes:
    """The canonical form of RFC 8785."""
    return _written(parse(text, numbers=numbers, outer_levels=outer_levels), _utf16_order)


def number_text(value: float) -> str:
    """A finite double as JavaScript writes it (ECMA-262 `Number::toString`), -0 as `0`."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    # repr gives the shortest digits that read back, nearest first, as ECMAScript asks
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    # the value is 0.{digits} times ten to the power of point
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(significant))
    return sign + _placed(significant.rstrip("0"), point)


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


class _Reader:
    """One walk over a text, as deep as the document, in the order in which faults count."""

    def __init__(self, text: str, numbers: Numbers, depth_max: int) -> None:
        self._text = text
        self._numbers = numbers
        self._depth_max = depth_max
        self._at = 0
        # where the walk is: keys and indexes
        self._path: list[str | int] = []
        # every other fault wins over this one
        self._inexact: JsonError | None = None

    def document(self) -> Any:
        value = self._value()
        if self._at < len(self._text):
            raise self._error("syntax")
        if self._inexact is not None:
            raise self._inexact
        return value

    def _value(self) -> Any:
        """A value and the white space around it."""
        simple = _SIMPLE.match(self._text, self._at)
        if simple is not None:
            self._at = simple.end()
            return simple[2] if simple[1] is None else int(simple[1])
        self._skip_space()
        start = self._text[self._at : self._at + 1]
        if start == '"':
            value: Any = self._string()
        elif start == "{":
            value = self._object()
        elif start == "[":
            value = self._array()
        elif start in _LITERALS:
            value = self._literal(*_LITERALS[start])
        else:
            value = self._number()
        self._skip_space()
        return value

    def _object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        is_constructor = self._path[-1:] == ["constructor"]
        if self._is_empty("}"):
            return members
        while True:
            self._skip_space()
            key = self._string()
            self._path.append(key)
            if key == "__proto__" or (is_constructor and key == "prototype"):
                raise self._error("forbidden_key")
            self._skip_space()
            self._expect(":")
            members[key] = self._value()
            self._path.pop()
            if self._is_last("}"):
                return members

    def _array(self) -> list[Any]:
        items: list[Any] = []
        if self._is_empty("]"):
            return items
        while True:
            self._path.append(len(items))
            items.append(self._value())
            self._path.pop()
            if self._is_last("]"):
                return items

    def _is_empty(self, closing: str) -> bool:
        """Reads the opening of a container, and its closing where nothing is in it."""
        if len(self._path) >= self._depth_max:
            raise self._error("too_deep")
        self._at += 1
        self._skip_space()
        is_empty = self._text.startswith(closing, self._at)
        self._at += is_empty
        return is_empty

    def _is_last(self, closing: str) -> bool:
        """Reads the comma or the closing after a value."""
        is_last = self._text.startswith(closing, self._at)
        self._expect(closing if is_last else ",")
        return is_last

    def _string(self) -> str:
        token = self._token(_STRING)
        if "\\" not in token:
            return token[1:-1]
        try:
            text: str = json.loads(token)
        except ValueError:
            raise self._error("syntax") from None
        if _SURROGATE.search(text):
            raise self._error("lone_surrogate")
        return text

    def _number(self) -> int | float | str:
        token = self._token(_NUMBER)
        is_integer = _INTEGER.fullmatch(token) is not None
        if is_integer and len(token) <= _EXACT_CHARACTERS:
            return int(token)
        value = float(token)
        if math.isinf(value):
            raise self._error("number_overflow")
        # what is written with a fraction or an exponent is read as a float everywhere
        if is_integer and self._numbers != "round" and int(token) != int(value):
            if self._numbers == "stringify":
                return token
            self._inexact = self._inexact or self._error("inexact_integer")
        return value

    def _literal(self, word: str, value: bool | None) -> bool | None:  # noqa: FBT001
        self._expect(word)
        return value

    def _token(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error("syntax")
        self._at = found.end()
        return found[0]

    def _expect(self, word: str) -> None:
        if not self._text.startswith(word, self._at):
            raise self._error("syntax")
        self._at += len(word)

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _error(self, code: str) -> JsonError:
        return JsonError(code, self._path)


def _pointer(path: Iterable[str | int]) -> str:
    """The pointer of a path, cut to the nearest ancestor that is short enough."""
    pointer = ""
    for step in path:
        longer = f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"
        if len(longer.encode()) > _POINTER_BYTES_MAX:
            break
        pointer = longer
    return pointer


def _written(value: Any, order: _KeyOrder) -> bytes:
    pieces: list[str] = []
    _write(value, order, pieces.append)
    return "".join(pieces).encode("utf-8")


def _write(value: Any, order: _KeyOrder, out: Callable[[str], None]) -> None:
    if isinstance(value, str):
        out(encode_basestring(value))
    elif value is None or isinstance(value, bool):
        out(_WORDS[value])
    elif isinstance(value, int):
        out(str(value))
    elif isinstance(value, float):
        out(number_text(value))
    elif isinstance(value, dict):
        opening = "{"
        for key in order(value):
            out(f"{opening}{encode_basestring(key)}:")
            _write(value[key], order, out)
            opening = ","
        out("}" if value else "{}")
    else:
        opening = "["
        for item in value:
            out(opening)
            _write(item, order, out)
            opening = ","
        out("]" if value else "[]")


def _property_order(keys: Iterable[str]) -> list[str]:
    """ECMA-262 `OrdinaryOwnPropertyKeys`: array indexes ascending, then the others as they came."""
    indexes: list[str] = []
    others: list[str] = []
    for key in keys:
        (indexes if _is_array_index(key) else others).append(key)
    return sorted(indexes, key=int) + others


def _is_array_index(key: str) -> bool:
    return _ARRAY_INDEX.fullmatch(key) is not None and int(key) <= _ARRAY_INDEX_MAX


def _utf16_order(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=lambda key: key.encode("utf-16-be"))
