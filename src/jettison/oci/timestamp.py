"""RFC 3339 times of configs: to seconds and back, compared without losing nanoseconds. Pure: the clock is the caller's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))\Z", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANO_DIGITS = 9


def format_time(seconds: int, nanoseconds: int = 0) -> str:
    """Return the time (since 1970, UTC) as docker spells it: ``2024-05-01T12:00:00Z``, nanoseconds without trailing zeros.

    Raises:
        ValueError: a year before 1 or after 9999.

    """
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"no time of a calendar: {seconds} s") from error
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{moment:%m-%dT%H:%M:%S}".join((f"{moment.year:04d}-", f"{fraction}Z"))


def parse_time(text: str) -> tuple[int, int]:
    """Return seconds since 1970 and nanoseconds of the RFC 3339 text.

    Raises:
        ValueError: it is no such time.

    """
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"no RFC 3339 time: {text[:60]!r}")
    *date, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, date)
    leap, second = divmod(second, 60) if second == 60 else (0, second)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    seconds = (moment - _EPOCH) // timedelta(seconds=1) + 60 * leap
    if sign:
        offset = (int(hours) * 60 + int(minutes)) * 60
        seconds += offset if sign == "-" else -offset
    return seconds, int((fraction or "0")[:_NANO_DIGITS].ljust(_NANO_DIGITS, "0"))


def clamp_time(text: str, epoch: int | None) -> str:
    """Return the time, or the epoch's if it is later, unreadable or missing; without an epoch the text as it is."""
    if epoch is None:
        return text
    try:
        is_later = parse_time(text) > (epoch, 0)
    except ValueError:
        is_later = True
    return format_time(epoch) if is_later else text
