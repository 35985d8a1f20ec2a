"""Models behind one protocol; one module a provider."""

from tts.backends.base import (
    Backend,
    Capabilities,
    EnvironmentName,
    Given,
    Meter,
    Price,
    Provider,
    RateInfo,
    most_tokens,
    prompt_bytes,
)
from tts.backends.policy import Cache, Hedge, Limits, Retry

__all__ = [
    "Backend",
    "Cache",
    "Capabilities",
    "EnvironmentName",
    "Given",
    "Hedge",
    "Limits",
    "Meter",
    "Price",
    "Provider",
    "RateInfo",
    "Retry",
    "most_tokens",
    "prompt_bytes",
]
