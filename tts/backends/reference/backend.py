"""The bundled model as a `Backend`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from anyio.lowlevel import RunVar
from pydantic import PositiveInt

from tts.backends.base import Capabilities, Expected, Meter, Price, Provider
from tts.backends.reference.engine import Engine, Row, TokenIds
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer, StopWatch
from tts.backends.reference.sampling import Settings
from tts.backends.reference.scheduler import Scheduler
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.weights import load_config, load_tensors
from tts.errors import ContextLengthExceeded
from tts.messages import Completion, Message, Request, TokenLogprob, Usage

__all__ = ["Reference", "ReferenceBackend"]

_BUNDLED = Path(__file__).with_name("weights")
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
        folder: Where `config.json`, `model.safetensors` and `tokenizer.json` are; None for the
            bundled ones.
        max_batch: Most requests decoded together; others wait.
        exact_replay: Keep a text independent of what is decoded beside it, to the last bit.
            Without it a draw may differ where two tokens are nearly equal.
        dtype: float32, or float64 for comparisons.

    Raises:
        ConfigError: If the files are missing or do not fit together.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        max_batch: int = 64,
        exact_replay: bool = True,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        folder = folder or _BUNDLED
        config = load_config(folder / "config.json")
        tensors = load_tensors(folder / "model.safetensors", config)
        self._model = Transformer(config, tensors, dtype=dtype, exact=exact_replay)
        self._tokenizer = Tokenizer(folder / "tokenizer.json")
        self._renderer = Renderer(self._tokenizer)
        self._max_batch = max_batch
        self._context = config.max_position_embeddings
        self._prompt = lru_cache(maxsize=_PROMPTS)(self._encode)

    @property
    def name(self) -> str:
        """Name of the model."""
        return "reference"

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
        return None if request.given is None else tuple(self._tokenizer.encode(request.given))

    def _row(self, request: Request) -> tuple[Row, StopWatch | None]:
        prompt, given = self._prompt(request.messages), self._given(request)
        room = self._context - len(prompt)
        if room < (1 if given is None else len(given)):
            raise ContextLengthExceeded(
                f"prompt of {self.prompt_tokens(request)} tokens leaves no room in a context of"
                f" {self._context}"
            )
        watch = StopWatch(self._tokenizer, request.stop) if request.stop else None
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
        text = self._tokenizer.decode(tokens)
        if watch is not None and row.given is None:
            text = watch.cut(text)
        return Completion(
            text=text if request.given is None else request.given,
            finish_reason=row.finish or "stop",
            usage=usage,
            logprobs=self._logprobs(request, row, tokens, text),
            model=self.name,
        )

    def _logprobs(
        self, request: Request, row: Row, tokens: list[int], text: str
    ) -> tuple[TokenLogprob, ...] | None:
        if not (request.logprobs or request.top_logprobs or request.given is not None):
            return None
        return tuple(
            TokenLogprob(token=piece, logprob=row.logprobs[i], top=self._top(row, i))
            for i, piece in enumerate(self._renderer.pieces(tokens, text))
        )

    def _top(self, row: Row, index: int) -> tuple[tuple[str, float], ...]:
        if not row.alternatives:
            return ()
        before = row.tokens[index - 1] if index else None
        return tuple(
            (self._renderer.spelling(token, before), logprob)
            for token, logprob in row.alternatives[index]
        )


class Reference(Provider, name="reference"):
    """The bundled model: small, local, free, and the same text for the same seed."""

    folder: Path | None = None
    """Folder of other weights of the same format; None for the bundled ones."""
    max_batch: PositiveInt = 64
    """Most requests decoded together."""
    exact_replay: bool = True
    """Keep a text independent of what is decoded beside it."""

    def expected(self) -> Expected:
        """Return everything: only the context stands in the weights' folder."""
        config = load_config((self.folder or _BUNDLED) / "config.json")
        return Expected(_can(config.max_position_embeddings), Price(input=0.0, output=0.0))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ReferenceBackend]:
        """Yield the backend; there is nothing to close."""
        yield ReferenceBackend(
            folder=self.folder, max_batch=self.max_batch, exact_replay=self.exact_replay
        )


def _can(context: int) -> Capabilities:
    return Capabilities(
        seed=True, logprobs=True, top_logprobs=20, score=True, fork=True, context=context
    )


def _charge(row: Row, meter: Meter) -> None:
    """Set the meter to what the row has used."""
    if not row.admitted:
        return
    given = len(row.given or ())
    meter.started = True
    meter.prompt_tokens = len(row.prompt) + given
    meter.completion_tokens = len(row.tokens) - given
