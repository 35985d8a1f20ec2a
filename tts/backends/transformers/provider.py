"""`backend: transformers`: a Hugging Face model in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from anyio import to_thread
from pydantic import Field, PositiveInt

from tts.backends.base import Backend, Provider
from tts.errors import ConfigError

__all__ = ["Transformers"]


class Transformers(Provider, name="transformers"):
    """A Hugging Face model in this process: batched, seeded, with log-probabilities and scoring."""

    model: Annotated[str, Field(min_length=1)]
    """Folder of the model, or its name on the Hugging Face hub."""
    download: bool = False
    """Fetch the model from the hub if it is not here."""
    device: str = "cpu"
    """Where it runs: cpu, cuda, mps."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of its weights; auto as they are stored."""
    max_batch: PositiveInt = 16
    """Most requests decoded together."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backend]:
        """Load the model and yield the backend; there is nothing to close.

        Raises:
            ConfigError: If the extra is not installed, or the model cannot be loaded.
        """
        try:
            from tts.backends.transformers.backend import TransformersBackend  # heavy: torch
        except ImportError as error:
            raise ConfigError(
                "the backend transformers needs an extra: pip install "
                "'tts-orchestrator[transformers]'"
            ) from error
        yield await to_thread.run_sync(
            lambda: TransformersBackend(
                self.model,
                download=self.download,
                device=self.device,
                dtype=self.dtype,
                max_batch=self.max_batch,
            )
        )
