"""`backend: ollama`: models that a local Ollama runs, through its OpenAI endpoint."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tts.backends.base import Price
from tts.backends.openai import OpenAI
from tts.backends.openai.dialects import Server
from tts.backends.wire import BaseURL, Timeouts

__all__ = ["Ollama"]


class Ollama(OpenAI, name="ollama"):
    """Models that a local Ollama runs. Ollama cuts long prompts without a word: set `context`."""

    official: ClassVar[tuple[str, str]] = ("", "")

    model: Annotated[str, Field(min_length=1)]
    """Name of the model, as `ollama list` shows it."""
    base_url: BaseURL = "http://localhost:11434/v1"
    """Where its OpenAI endpoint begins."""
    server: Server | Literal["auto"] = "ollama"
    price: Price | None = Price(input=0.0, output=0.0)
    """Nothing: it runs at home."""
    concurrency: Annotated[int, Field(ge=1)] = 4
    """Most calls in flight at once; Ollama's own OLLAMA_NUM_PARALLEL makes the others wait."""
    timeouts: Timeouts = Timeouts(first_byte=1800.0, between_chunks=600.0)
    """Longer: the first call loads the model."""
