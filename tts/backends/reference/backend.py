"""The bundled model as a `Backend`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
from anyio.lowlevel import RunVar
from pydantic import PositiveInt, field_validator, model_validator

from tts.backends.base import Capabilities, Expected, Meter, Price, Provider
from tts.backends.reference.bundled import MAIN, bundled, in_folder
from tts.backends.reference.engine import Engine, Row, TokenIds
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer, StopWatch
from tts.backends.reference.sampling import Settings
from tts.backends.reference.scheduler import Scheduler
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.weights import LlamaConfig, load_config, load_tensors
from tts.errors import ConfigError, ContextLengthExceeded
from tts.messages import Completion, Message, Request, TokenLogprob, Usage

__all__ = ["Reference", "ReferenceBackend"]

_PROMPTS = 4096
"""Prompts whose ids are remembered."""
_SEEDS = 1 << 64
"""Seeds that the generator tells apart."""


_schedulers: RunVar[WeakKeyDictionary[ReferenceBackend, Scheduler]] = RunVar("schedulers")
"""What drives each backend on an event loop; gone when the loop or the backend is."""


class ReferenceBackend:
    """Completes requests with the bundled model, on the processor, by numpy alone.

    A request's text depends on the request alone: same seed, same text, whatever else runs. One
    object may be used from several event loops.

    Args:
        model: Name of a bundled model.
        folder: Where `config.json`, `model.safetensors` and `tokenizer.json` of another are; then
            `model` has no meaning.
        max_batch: Most requests decoded together; others wait.
        exact_replay: Keep a text independent of what is decoded beside it, to the last bit.
            Without it a draw may differ where two tokens are nearly equal.
        dtype: float32, or float64 for comparisons.

    Raises:
        ConfigError: If there is no model of this name, or its files are missing or do not fit
            together.
    """

    def __init__(
        self,
        *,
        model: str = MAIN,
        folder: Path | None = None,
        max_batch: int = 64,
        exact_replay: bool = True,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        files = bundled(model) if folder is None else in_folder(folder)
        config = load_config(files.config)
        tensors = load_tensors(files.tensors, config)
        self._name = files.name
        self._model = Transformer(config, tensors, dtype=dtype, exact=exact_replay)
        self._tokenizer = _fitting(files.tokenizer, config)
        self._renderer = Renderer(self._tokenizer)
        self._max_batch = max_batch
        self._context = config.max_position_embeddings
        self._prompt = lru_cache(maxsize=_PROMPTS)(self._encode)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Everything; the context is the model's."""
        return _can(self._context)

    @property
    def price(self) -> Price:
        """Nothing: it runs here."""
        return Price(input=0.0, output=0.0)

    def prompt_tokens(self, request: Request) -> int:
        """Return the prompt's tokens, tags included, and those of a given text."""
        return len(self._prompt(request.messages)) + len(self._given(request) or ())

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Complete one request.

        Args:
            request: What is asked; `max_tokens` is cut to what the context leaves.
            meter: Advanced while tokens are decoded; the end token counts.

        Raises:
            ContextLengthExceeded: If the prompt, or prompt and given text, leave no room.
            BackendError: If the engine failed.
        """
        row, watch = self._row(request)
        await self._on_this_loop().run(row, lambda: _charge(row, meter))
        completion = self._completion(request, row, watch, meter.usage)
        meter.hear(completion.text)
        return completion

    def _on_this_loop(self) -> Scheduler:
        schedulers = _schedulers.get(None)
        if schedulers is None:
            schedulers = WeakKeyDictionary()
            _schedulers.set(schedulers)
        if self not in schedulers:
            # Not a method: it would hold the backend, and the loop would hold both for ever.
            schedulers[self] = Scheduler(partial(Engine, self._model, max_batch=self._max_batch))
        return schedulers[self]

    def _encode(self, messages: tuple[Message, ...]) -> TokenIds:
        return self._renderer.prompt(messages)

    def _given(self, request: Request) -> TokenIds | None:
        if request.given is None:
            return None
        return self._renderer.given(request.given, self._renderer.begun(request.messages))

    def _row(self, request: Request) -> tuple[Row, StopWatch | None]:
        prompt, given = self._prompt(request.messages), self._given(request)
        room = self._context - len(prompt)
        if room < (1 if given is None else len(given)):
            raise ContextLengthExceeded(
                f"prompt of {self.prompt_tokens(request)} tokens leaves no room in a context of"
                f" {self._context}"
            )
        before = self._renderer.begun(request.messages)
        watch = StopWatch(self._tokenizer, request.stop, before) if request.stop else None
        row = Row(
            prompt=prompt,
            settings=Settings(request.temperature, request.top_p, request.top_k),
            seed=secrets.randbits(31) if request.seed is None else request.seed % _SEEDS,
            limit=min(request.max_tokens, room),
            stops=frozenset({self._renderer.end}),
            tops=request.top_logprobs,
            given=given,
            watch=watch,
        )
        return row, watch

    def _completion(
        self, request: Request, row: Row, watch: StopWatch | None, usage: Usage
    ) -> Completion:
        tokens = row.tokens
        if row.given is None and tokens[-1] == self._renderer.end:
            tokens = tokens[:-1]
        before = self._renderer.begun(request.messages)
        text = self._renderer.text(tokens, before)
        if watch is not None and row.given is None:
            text = watch.cut(text)
        return Completion(
            text=text if request.given is None else request.given,
            finish_reason=row.finish or "stop",
            usage=usage,
            logprobs=self._logprobs(request, row, tokens, text, before),
            model=self.name,
        )

    def _logprobs(
        self, request: Request, row: Row, tokens: list[int], text: str, before: TokenIds
    ) -> tuple[TokenLogprob, ...] | None:
        if not (request.logprobs or request.top_logprobs or request.given is not None):
            return None
        return tuple(
            TokenLogprob(token=piece, logprob=row.logprobs[i], top=self._top(row, i, before))
            for i, piece in enumerate(self._renderer.pieces(tokens, text, before))
        )

    def _top(self, row: Row, index: int, before: TokenIds) -> tuple[tuple[str, float], ...]:
        if not row.alternatives:
            return ()
        last = row.tokens[index - 1] if index else (before or (None,))[-1]
        return tuple(
            (self._renderer.spelling(token, last), logprob)
            for token, logprob in row.alternatives[index]
        )


class Reference(Provider, name="reference"):
    """The bundled model: small, local, free, and the same text for the same seed."""

    model: str = MAIN
    """Name of a bundled model."""
    folder: Path | None = None
    """Folder of other weights of the same format, in place of a bundled model."""
    max_batch: PositiveInt = 64
    """Most requests decoded together."""
    exact_replay: bool = True
    """Keep a text independent of what is decoded beside it."""

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str) -> str:
        try:
            bundled(model)
        except ConfigError as error:
            raise ValueError(error.message) from error
        return model

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.folder is not None and self.model != MAIN:
            raise ValueError("give a model or a folder, not both")
        return self

    def identity(self) -> dict[str, Any]:
        """Return the settings that an answer depends on: of model and folder the one in use."""
        unused = "model" if self.folder is not None else "folder"
        return {key: value for key, value in super().identity().items() if key != unused}

    def expected(self) -> Expected:
        """Return everything: only the context stands in the weights' folder."""
        files = bundled(self.model) if self.folder is None else in_folder(self.folder)
        context = load_config(files.config).max_position_embeddings
        return Expected(_can(context), Price(input=0.0, output=0.0))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ReferenceBackend]:
        """Yield the backend; there is nothing to close."""
        yield ReferenceBackend(
            model=self.model,
            folder=self.folder,
            max_batch=self.max_batch,
            exact_replay=self.exact_replay,
        )


def _fitting(path: Path, config: LlamaConfig) -> Tokenizer:
    """Return the tokenizer of a model whose vocabulary holds all of its ids."""
    if not path.is_file():
        raise ConfigError("the tokenizer is missing", path=str(path))
    tokenizer = Tokenizer(path)
    if tokenizer.vocab_size > config.vocab_size:
        raise ConfigError(
            f"{tokenizer.vocab_size} tokens do not fit a model of {config.vocab_size}",
            path=str(path),
        )
    return tokenizer


def _can(context: int) -> Capabilities:
    return Capabilities(
        seed=True,
        logprobs=True,
        top_logprobs=20,
        score=True,
        fork=True,
        prefill=True,
        context=context,
    )


def _charge(row: Row, meter: Meter) -> None:
    """Set the meter to what the row has used."""
    if not row.admitted:
        return
    given = len(row.given or ())
    meter.started = True
    meter.prompt_tokens = len(row.prompt) + given
    meter.completion_tokens = len(row.tokens) - given
