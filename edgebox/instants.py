"""Instants as text: how the box stores them, and how it reads what phones send.

Stored text has a fixed width and is always UTC, so that the order of the texts is the order of the instants.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_STORED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)

_CLIENT = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"[T ]"
    r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?P<offset>Z|(?P<sign>[+-])(?P<offset_hours>\d\d)(?::?(?P<offset_minutes>\d\d))?)?",
    re.ASCII,
)


def to_text(instant: datetime) -> str:
    """The stored form, e.g. `2026-11-24T08:15:00.000000+00:00`: always 32 characters, always UTC.

    Raises ValueError for a naive datetime, and where UTC would leave the years 1 to 9999.
    """
    if instant.utcoffset() is None:
        raise ValueError("an instant needs an offset from UTC")
    return _in_utc(instant).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """The instant, aware and in UTC, that `to_text` wrote. Raises ValueError for any other text."""
    if not _STORED.fullmatch(text):
        raise ValueError(f"not a stored instant: {text[:40]!r}")
    return datetime.fromisoformat(text)


def parse_client_datetime(text: str) -> datetime:
    """The instant, aware and in UTC, that a client means.

    Understood is ISO 8601 in its extended form: `T` or a blank in the middle, seconds or none, a fraction of a second
    of any length after `.` or `,` (cut off after microseconds), an offset `Z`, `+01:00`, `+0100` or `+01`. Without an
    offset it is UTC, as pretix takes it. A phone that scanned offline sends minutes only: `2026-11-24T08:15Z`.

    Anything else raises ValueError with a text that can be shown; it never repeats what was sent.
    """
    match = _CLIENT.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO 8601 date and time such as 2026-11-24T08:15:00Z")
    year, month, day, hour, minute, second, offset_hours, offset_minutes = (
        int(match[name] or 0)
        for name in ("year", "month", "day", "hour", "minute", "second", "offset_hours", "offset_minutes")
    )
    # Only the digits that count become a number: int() has a limit, and a fraction may be as long as the body.
    microsecond = int((match["fraction"] or "")[:6].ljust(6, "0"))
    if offset_hours > 23 or offset_minutes > 59:
        raise ValueError("no such offset from UTC: at most 23:59 are possible")
    offset = timedelta(hours=offset_hours, minutes=offset_minutes)
    zone = timezone(-offset if match["sign"] == "-" else offset)
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=zone)
    except ValueError as error:
        raise ValueError(f"no such date or time: {error}") from None
    return _in_utc(local)


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside of the years 1 to 9999 in UTC") from None
