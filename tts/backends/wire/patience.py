"""How long a call may take, and how long the server asks it to wait."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated

from pydantic import Field

from tts.frozen import Frozen

__all__ = ["Timeouts", "retry_after", "seconds_until"]

Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

_LONGEST = 86_400.0
"""Seconds; a server that asks for more than a day is not understood."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RESETS = re.compile(r"(?:x-ratelimit|anthropic-ratelimit)-(?:.+-)?reset(?:-.+)?", re.IGNORECASE)


class Timeouts(Frozen):
    """Seconds that each part of a call may take; each ends in `BackendTimeout`."""

    connect: Seconds = 10.0
    """For a connection, TLS included."""
    first_byte: Seconds = 900.0
    """From sending the request to the head of the answer; without streaming the model does all
    its work in this time."""
    between_chunks: Seconds = 120.0
    """From one piece of the answer to the next."""
    total: Seconds = 3600.0
    """For the whole call, however steadily it drips."""


def retry_after(headers: Mapping[str, str], body: object = None) -> float | None:
    """Return the seconds a server asks to wait, or None if it does not say.

    Read in this order: `retry-after-ms`, `retry-after` (seconds or an HTTP date, which counts from
    the server's own `date`, since clocks differ), the latest of the `x-ratelimit-*` and
    `anthropic-ratelimit-*` resets whose `remaining` is used up, Google's `retryDelay` in the body.

    >>> retry_after({"retry-after": "Tue, 24 Nov 2026 08:00:30 GMT",
    ...              "date": "Tue, 24 Nov 2026 08:00:00 GMT"})
    30.0
    """
    said = [
        _number(headers.get("retry-after-ms"), scale=0.001),
        _moment(headers.get("retry-after"), headers),
        _resets(headers),
        _google(body),
    ]
    return next((each for each in said if each is not None and 0 <= each <= _LONGEST), None)


def _number(text: str | None, scale: float = 1.0) -> float | None:
    try:
        return None if text is None else scale * float(text)
    except ValueError:
        return None


def _moment(text: str | None, headers: Mapping[str, str]) -> float | None:
    """Read seconds, a duration such as `1m30s`, or a date as seconds from now."""
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    if _DURATION.sub("", text) == "":
        return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(text))
    then = _date(text)
    if then is None:
        return None
    now = _date(headers.get("date", "")) or datetime.fromtimestamp(time.time(), UTC)
    return max(0.0, (then - now).total_seconds())


def _date(text: str) -> datetime | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(text)
        except (ValueError, TypeError, OverflowError):
            continue
        return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return None


def seconds_until(text: str | None, headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a limit's reset, at most a day; None if that cannot be read.

    Args:
        text: Seconds, a duration such as `1m30s`, a date, or a time since 1970.
        headers: Of the answer: dates count from the server's own `date`.
    """
    wait = None if text is None else _epoch(text, headers)
    return wait if wait is not None and 0 <= wait <= _LONGEST else None


def _resets(headers: Mapping[str, str]) -> float | None:
    waits = []
    for name, text in headers.items():
        if not _RESETS.fullmatch(name):
            continue
        left = headers.get(name.lower().replace("reset", "remaining"))
        if left is not None and (_number(left) or 0.0) > 0.0:
            continue  # this limit is not the one that was hit
        wait = seconds_until(text, headers)
        if wait is not None:
            waits.append(wait)
    return max(waits, default=None)


def _epoch(text: str, headers: Mapping[str, str]) -> float | None:
    """As `_moment`, but a large number is a time since 1970, in seconds or milliseconds."""
    number = _number(text)
    if number is None or number < 1e9:
        return _moment(text, headers)
    now = _date(headers.get("date", ""))
    since = number / 1000 if number > 1e11 else number
    return max(0.0, since - (now.timestamp() if now else time.time()))


def _google(body: object) -> float | None:
    error = body.get("error") if isinstance(body, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, Mapping) else None
        if isinstance(delay, str):
            return _moment(delay, {})
    return None
