"""What a provider's headers say is left of its rate limits."""

from __future__ import annotations

from collections.abc import Mapping

from tts.backends.base import RateInfo
from tts.backends.wire.patience import seconds_until

__all__ = ["rates_of"]

_SPELLINGS = ("x-ratelimit-{what}-{of}", "anthropic-ratelimit-{of}-{what}")
_NAMES = tuple(
    tuple(
        spelling.format(what=what, of=of)
        for of in ("requests", "tokens")
        for what in ("remaining", "reset")
    )
    for spelling in _SPELLINGS
)


def rates_of(headers: Mapping[str, str]) -> RateInfo | None:
    """Return what is left, or None where nothing is said of requests and tokens.

    Read are `x-ratelimit-remaining-requests`, `x-ratelimit-reset-tokens` and their like, as OpenAI
    and many servers spell them, and `anthropic-ratelimit-requests-remaining` and its like. What
    cannot be read counts as not said.

    >>> rates_of({"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1m30s"})
    RateInfo(requests=59, tokens=None, requests_reset=90.0, tokens_reset=None)
    >>> rates_of({}) is None
    True
    """
    for requests, requests_reset, tokens, tokens_reset in _NAMES:
        if requests in headers or tokens in headers:
            return RateInfo(
                _count(headers.get(requests)),
                _count(headers.get(tokens)),
                seconds_until(headers.get(requests_reset), headers),
                seconds_until(headers.get(tokens_reset), headers),
            )
    return None


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
