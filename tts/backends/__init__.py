"""Models behind one protocol; one module a provider."""

from tts.backends.base import (
    Backend,
    Capabilities,
    EnvironmentName,
    Given,
    Meter,
    Price,
    Provider,
    prompt_bytes,
)

__all__ = [
    "Backend",
    "Capabilities",
    "EnvironmentName",
    "Given",
    "Meter",
    "Price",
    "Provider",
    "prompt_bytes",
]
