"""The engine: rows of token ids that join and leave a batch at every step. Synchronous."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tts.backends.reference.attention import CachedAttention, PairBuffers, PromptAttention, Reader
from tts.backends.reference.blas import Array, one_thread
from tts.backends.reference.cache import CHUNK, ChunkPool, Extent
from tts.backends.reference.cache import chunks as chunks_of
from tts.backends.reference.model import Buffers, Transformer
from tts.backends.reference.sampling import DEFAULT, Settings, draw, log_probabilities, uniforms
from tts.errors import ContextLengthExceeded

__all__ = ["Engine", "Row", "TokenIds", "ending", "note"]

TokenIds = tuple[int, ...]

_PREFILL: Final = 1024
"""Prompt tokens after which a step admits no further prompt."""


@dataclass(eq=False, slots=True)
class Row:
    """One sequence on its way through the batch.

    Attributes:
        prompt: Ids of the prompt, at least one.
        settings: How tokens are drawn.
        seed: At least 0; with the prompt and the settings it decides every token.
        limit: Most tokens to write; prompt and limit together fit the context.
        stops: Ids that end the row; the one that did is the last of `tokens`.
        tops: Most probable tokens to note at each place.
        given: Ids to score instead of drawing any; the row is then finished at once.
        watch: Called with `tokens` after each; True ends the row.
        tokens: What was written.
        logprobs: Log-probability of each at temperature 1.
        alternatives: For each token the `tops` most probable ids with log-probabilities.
        finish: Why the row ended, or None while it runs.
        admitted: Whether the prompt was computed.
        cancelled: Set by anyone, at any time: the row leaves at the next step.
    """

    prompt: TokenIds
    settings: Settings = DEFAULT
    seed: int = 0
    limit: int = 1
    stops: frozenset[int] = frozenset()
    tops: int = 0
    given: TokenIds | None = None
    watch: Callable[[list[int]], bool] | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    alternatives: list[list[tuple[int, float]]] = field(default_factory=list)
    finish: Literal["stop", "length"] | None = None
    admitted: bool = False
    cancelled: bool = False


@dataclass(eq=False, slots=True)
class _Live:
    """A row in the batch with what it holds of the cache."""

    row: Row
    prompt: Extent
    own: list[Extent]
    uniform: NDArray[np.float64]


@dataclass(eq=False, slots=True)
class _Prefix:
    """A prompt in the cache, the logits after it, and how many rows read it."""

    extent: Extent
    logits: Array
    readers: int = 0


class Engine:
    """Decodes a batch of rows with a KV cache.

    A row's tokens and log-probabilities depend on the row alone, not on what else is in the batch
    or when it joined, if the model is exact. Not to be used by two threads at once; `submit` and
    `Row.cancelled` may be used while another thread is in `step`.

    Args:
        model: The network; may be shared by engines.
        max_batch: Most rows decoded together.
    """

    def __init__(self, model: Transformer, *, max_batch: int = 64) -> None:
        self.model, self.max_batch = model, max_batch
        self.pool = ChunkPool(model.config, model.dtype)
        self._waiting: deque[Row] = deque()
        self._live: list[_Live] = []
        self._prefixes: dict[TokenIds, _Prefix] = {}
        self._buffers = Buffers()
        self._pairs = PairBuffers(model.config, model.dtype)
        self._attention: CachedAttention | None = None

    @property
    def busy(self) -> bool:
        """Whether rows wait or run."""
        return bool(self._waiting or self._live)

    @property
    def batch(self) -> int:
        """Rows that are being decoded."""
        return len(self._live)

    def submit(self, row: Row) -> None:
        """Queue a row; it joins at the next step that has room.

        Raises:
            ContextLengthExceeded: If prompt and limit, or prompt and given ids, do not fit.
        """
        self._check_length(row)
        self._waiting.append(row)

    def run(self, rows: Iterable[Row]) -> None:
        """Submit rows, and step until none is left; errors as `submit`."""
        for row in rows:
            self.submit(row)
        while self.busy:
            self.step()

    def step(self) -> bool:
        """Drop cancelled rows, admit waiting ones, and write one token for each.

        Returns:
            Whether a row finished.
        """
        with one_thread(), np.errstate(over="ignore", invalid="ignore"):
            self._leave([live for live in self._live if live.row.cancelled])
            finished = self._admit()
            if self._live:
                finished |= self._decode()
        return finished

    def score(self, prompt: Sequence[int], text: Sequence[int]) -> list[float]:
        """Return the log-probability of each token of a text that follows a prompt.

        Raises:
            ContextLengthExceeded: If prompt and text do not fit.
        """
        row = Row(prompt=tuple(prompt), given=tuple(text))
        self._check_length(row)
        with one_thread(), np.errstate(over="ignore", invalid="ignore"):
            self._score([row])
        return row.logprobs

    def _check_length(self, row: Row) -> None:
        context = self.model.config.max_position_embeddings
        length = len(row.prompt) + (row.limit if row.given is None else len(row.given))
        if length > context:
            raise ContextLengthExceeded(
                f"prompt of {len(row.prompt)} tokens and {length - len(row.prompt)} more do not"
                f" fit a context of {context}"
            )

    def _admit(self) -> bool:
        """Compute the prompts of waiting rows, let the rows join and draw their first tokens."""
        joining: list[Row] = []
        new: dict[TokenIds, None] = {}
        scored: list[Row] = []
        cost = 0
        while self._waiting and cost < _PREFILL:
            if len(self._live) + len(joining) >= self.max_batch:
                break
            row = self._waiting.popleft()
            if row.cancelled:
                continue
            if row.given is not None:
                scored.append(row)
                cost += len(row.prompt) + len(row.given)
                continue
            joining.append(row)
            if row.prompt not in self._prefixes and row.prompt not in new:
                new[row.prompt] = None
                cost += len(row.prompt)
        if scored:
            self._score(scored)
        if new:
            self._prefill(list(new))
        if joining:
            self._join(joining)
        return bool(scored) or any(row.finish for row in joining)

    def _prefill(self, prompts: Sequence[TokenIds]) -> None:
        extents = [self.pool.take(chunks_of(len(p)), len(p)) for p in prompts]
        hidden = self._run(prompts, extents)
        last = np.cumsum([len(prompt) for prompt in prompts]) - 1
        logits = self.model.logits(hidden[last], self._buffers)
        for prompt, extent, each in zip(prompts, extents, logits, strict=True):
            self._prefixes[prompt] = _Prefix(extent, each.copy())

    def _run(self, sequences: Sequence[TokenIds], extents: Sequence[Extent | None]) -> Array:
        lengths = [len(sequence) for sequence in sequences]
        return self.model.hidden(
            np.concatenate([np.array(sequence, np.intp) for sequence in sequences]),
            np.concatenate([np.arange(length) for length in lengths]),
            PromptAttention(self.model.config, lengths, self.pool, extents),
            self._buffers,
        )

    def _score(self, rows: Sequence[Row]) -> None:
        sequences = [row.prompt + (row.given or ()) for row in rows]
        hidden = self._run(sequences, [None] * len(rows))
        ends = np.cumsum([len(sequence) for sequence in sequences])
        # The logits before each given token; rows of different length stay separate.
        places = [
            np.arange(end - len(row.given or ()) - 1, end - 1)
            for row, end in zip(rows, ends, strict=True)
        ]
        logits = self.model.logits(hidden[np.concatenate(places)], self._buffers)
        logs = log_probabilities(logits)
        start = 0
        for row in rows:
            given = row.given or ()
            for token, line in zip(given, logs[start : start + len(given)], strict=True):
                note(row, token, float(line[token]), line)
            start += len(given)
            row.admitted, row.finish = True, "stop"

    def _join(self, rows: Sequence[Row]) -> None:
        joined = []
        for row in rows:
            prefix = self._prefixes[row.prompt]
            prefix.readers += 1
            live = _Live(row, prefix.extent, [], uniforms(row.seed, row.limit))
            row.admitted = True
            joined.append(live)
        self._live.extend(joined)
        self._attention = None
        self._draw(joined, np.stack([self._prefixes[row.prompt].logits for row in rows]))

    def _decode(self) -> bool:
        """Feed each row's last token to the network and draw the next."""
        live = self._live
        attention = self._layout()
        attention.advance()
        hidden = self.model.hidden(
            np.array([each.row.tokens[-1] for each in live]),
            np.array([len(each.row.prompt) + len(each.row.tokens) - 1 for each in live]),
            attention,
            self._buffers,
        )
        attention.next()
        return self._draw(live, self.model.logits(hidden, self._buffers))

    def _layout(self) -> CachedAttention:
        """Return the attention over the rows' chunks, after giving new chunks to full rows."""
        for live in self._live:
            if len(live.row.tokens) > len(live.own) * CHUNK:
                live.own.append(self.pool.take(1))
                self._attention = None
        if self._attention is None:
            self.pool.compact()
            readers = [Reader(each.prompt, each.own, len(each.row.tokens)) for each in self._live]
            self._attention = CachedAttention(self.pool, self._pairs, readers)
        return self._attention

    def _draw(self, live: Sequence[_Live], logits: Array) -> bool:
        """Draw a token for each row; let those that end leave."""
        steps = np.array([each.uniform[len(each.row.tokens)] for each in live])
        drawn = draw(logits, [each.row.settings for each in live], steps)
        noted = any(each.row.tops for each in live)
        logs = log_probabilities(logits) if noted else logits
        ended = []
        for each, token, logprob, line in zip(
            live, drawn.tokens.tolist(), drawn.log_probabilities.tolist(), logs, strict=True
        ):
            row = each.row
            note(row, token, logprob, line)
            row.finish = ending(row)
            if row.finish:
                ended.append(each)
        self._leave(ended)
        return bool(ended)

    def _leave(self, leaving: Sequence[_Live]) -> None:
        """Take rows out of the batch and give back what they held."""
        if not leaving:
            return
        gone = set(map(id, leaving))
        self._live = [each for each in self._live if id(each) not in gone]
        self._attention = None
        for each in leaving:
            for extent in each.own:
                self.pool.release(extent)
            prefix = self._prefixes[each.row.prompt]
            prefix.readers -= 1
            if not prefix.readers:
                self.pool.release(prefix.extent)
                del self._prefixes[each.row.prompt]


def note(row: Row, token: int, logprob: float, logs: Array) -> None:
    """Write down a row's next token; `logs` are all tokens' log-probabilities at its place."""
    row.tokens.append(token)
    row.logprobs.append(logprob)
    if row.tops:
        best = np.argsort(-logs, kind="stable")[: row.tops]
        row.alternatives.append([(int(each), min(float(logs[each]), 0.0)) for each in best])


def ending(row: Row) -> Literal["stop", "length"] | None:
    """Return why a row ends with its last token, or None if it does not."""
    if row.tokens[-1] in row.stops or (row.watch is not None and row.watch(row.tokens)):
        return "stop"
    return "length" if len(row.tokens) >= row.limit else None
