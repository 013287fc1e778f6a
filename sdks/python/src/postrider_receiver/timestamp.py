"""RFC 3339 timestamps as milliseconds since 1970: years 0000 to 9999, no leap seconds."""

import re
from datetime import date

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
# The Gregorian calendar repeats itself; `date` knows no year 0, but it knows 400
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
_EPOCH = date(1970, 1, 1).toordinal()
_MIN_MS = -62_167_219_200_000
_MAX_MS = 253_402_300_799_999


def parse_ms(text: str) -> int | None:
    """Reads a timestamp with `Z` or an offset; digits beyond milliseconds are cut off."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = found.groups()[6:]
    days = _days(year, month, day)
    if days is None:
        return None
    offset = int(offset_hours or 0) * 60 + int(offset_minutes or 0)
    minutes = (days * 24 + hour) * 60 + minute - (-offset if sign == "-" else offset)
    milliseconds = int(((fraction or "") + "000")[:3])
    ms = (minutes * 60 + second) * 1_000 + milliseconds
    return ms if _MIN_MS <= ms <= _MAX_MS else None


def _days(year: int, month: int, day: int) -> int | None:
    """Days from 1970-01-01."""
    cycles, year_of_cycle = divmod(year, _CYCLE_YEARS)
    try:
        in_cycle = date(year_of_cycle + _CYCLE_YEARS, month, day).toordinal()
    except ValueError:
        return None
    return in_cycle + (cycles - 1) * _CYCLE_DAYS - _EPOCH
