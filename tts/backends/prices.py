"""List prices of a few hosted models. What is not here is unknown, never free.

As published by the providers in October 2026, in dollars per million tokens. Prices change: a
`price` in the pipeline goes before this table. Models whose price depends on the prompt's length,
and writes to a prefix cache, have no place in it.
"""

from __future__ import annotations

import re

from tts.backends.base import Price
from tts.backends.wire.address import origin

__all__ = ["list_price"]

_DATED = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")
_PRICES: dict[str, dict[str, tuple[float, float, float]]] = {
    "api.openai.com": {  # input, cached input, output
        "gpt-4.1": (2.00, 0.50, 8.00),
        "gpt-4.1-mini": (0.40, 0.10, 1.60),
        "gpt-4.1-nano": (0.10, 0.025, 0.40),
        "gpt-4o": (2.50, 1.25, 10.00),
        "gpt-4o-mini": (0.15, 0.075, 0.60),
        "gpt-5": (1.25, 0.125, 10.00),
        "gpt-5-mini": (0.25, 0.025, 2.00),
        "gpt-5-nano": (0.05, 0.005, 0.40),
    },
    "api.anthropic.com": {
        "claude-opus-5": (5.00, 0.50, 25.00),
        "claude-opus-4-8": (5.00, 0.50, 25.00),
        "claude-opus-4-7": (5.00, 0.50, 25.00),
        "claude-opus-4-6": (5.00, 0.50, 25.00),
        "claude-opus-4-5": (5.00, 0.50, 25.00),
        "claude-sonnet-4-6": (3.00, 0.30, 15.00),
        "claude-sonnet-4-5": (3.00, 0.30, 15.00),
        "claude-haiku-4-5": (1.00, 0.10, 5.00),
    },
}


def list_price(base_url: str, model: str) -> Price | None:
    """Return a model's list price at its provider's own address; None is unknown.

    >>> list_price("https://api.openai.com/v1", "gpt-4.1-2025-04-14")
    Price(input=2.0, output=8.0, cached_input=0.5)
    >>> list_price("https://proxy.example.com/v1", "gpt-4.1") is None
    True
    """
    known = _PRICES.get(origin(base_url)[1], {}).get(_DATED.sub("", model))
    if known is None:
        return None
    return Price(input=known[0], cached_input=known[1], output=known[2])
