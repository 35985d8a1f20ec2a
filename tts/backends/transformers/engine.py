"""Batches of rows through a causal model of transformers. Synchronous; needs torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from tts.backends.reference.engine import Row, TokenIds, ending, note
from tts.backends.reference.sampling import draw, log_probabilities, uniforms

__all__ = ["BatchEngine"]


class BatchEngine:
    """Decodes rows together; those that come later wait until the batch is done.

    Rows with the same prompt share its computation, and rows leave when they end. Draws are the
    reference engine's: uniform numbers that depend on the row's seed alone. In one batch or
    another a row may still differ where two tokens are nearly equal, since sums are not exact.

    Args:
        model: The network, in evaluation mode.
        max_batch: Most rows decoded together.
    """

    def __init__(self, model: Any, *, max_batch: int) -> None:
        self._model, self._max_batch = model, max_batch
        # The library has given this argument another name; the network knows which it takes.
        takes = signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in takes else "past_key_values"
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        self._uniforms: list[NDArray[np.float64]] = []
        self._cache: Any = None
        self._mask: Any = None

    @property
    def busy(self) -> bool:
        """Whether rows wait or run."""
        return bool(self._waiting or self._rows)

    def submit(self, row: Row) -> None:
        """Queue a row; it joins the next batch."""
        self._waiting.append(row)

    def step(self) -> bool:
        """Drop cancelled rows, then begin a batch or write one token for each row of it.

        Returns:
            Whether a row finished.
        """
        with torch.inference_mode():
            self._keep([not row.cancelled for row in self._rows])
            if self._rows:
                return self._decode()
            rows = self._next_rows()
            scored = [row for row in rows if row.given is not None]
            self._score(scored)
            return self._begin([row for row in rows if row.given is None]) or bool(scored)

    def _next_rows(self) -> list[Row]:
        rows: list[Row] = []
        while self._waiting and len(rows) < self._max_batch:
            row = self._waiting.popleft()
            if not row.cancelled:
                rows.append(row)
        return rows

    def _begin(self, rows: list[Row]) -> bool:
        """Compute the prompts, each once, and draw the first tokens."""
        if not rows:
            return False
        prompts = list(dict.fromkeys(row.prompt for row in rows))
        ids, mask = self._padded(prompts)
        cache = DynamicCache(config=self._model.config)
        logits = self._run(ids, mask, _positions(mask), cache)[:, -1]
        places = torch.tensor([prompts.index(row.prompt) for row in rows], device=ids.device)
        cache.batch_select_indices(places)
        self._rows, self._cache, self._mask = rows, cache, mask[places]
        self._uniforms = [uniforms(row.seed, row.limit) for row in rows]
        for row in rows:
            row.admitted = True
        return self._draw(logits[places])

    def _decode(self) -> bool:
        device = self._mask.device
        last = torch.tensor([[row.tokens[-1]] for row in self._rows], device=device)
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], 1)
        places = [len(row.prompt) + len(row.tokens) - 1 for row in self._rows]
        positions = torch.tensor(places, device=device)[:, None]
        return self._draw(self._run(last, self._mask, positions, self._cache)[:, -1])

    def _draw(self, logits: Any) -> bool:
        """Draw a token for each row; let those that end leave."""
        lines = logits.float().cpu().numpy()
        steps = np.array(
            [each[len(row.tokens)] for row, each in zip(self._rows, self._uniforms, strict=True)]
        )
        drawn = draw(lines, [row.settings for row in self._rows], steps)
        logs = log_probabilities(lines) if any(row.tops for row in self._rows) else lines
        tokens, logprobs = drawn.tokens.tolist(), drawn.log_probabilities.tolist()
        for row, token, logprob, line in zip(self._rows, tokens, logprobs, logs, strict=True):
            note(row, token, logprob, line)
            row.finish = ending(row)
        goes_on = [row.finish is None for row in self._rows]
        self._keep(goes_on)
        return not all(goes_on)

    def _keep(self, kept: Sequence[bool]) -> None:
        """Let the other rows leave the batch."""
        if all(kept):
            return
        places = [place for place, stays in enumerate(kept) if stays]
        self._rows = [self._rows[place] for place in places]
        self._uniforms = [self._uniforms[place] for place in places]
        if not places:
            self._cache = self._mask = None
            return
        chosen = torch.tensor(places, device=self._mask.device)
        self._mask = self._mask[chosen]
        self._cache.batch_select_indices(chosen)

    def _score(self, rows: list[Row]) -> None:
        """Note the log-probability of each given token."""
        if not rows:
            return
        ids, mask = self._padded([row.prompt + (row.given or ()) for row in rows])
        logits = self._run(ids, mask, _positions(mask), None)
        for row, lines in zip(rows, logits, strict=True):
            given = row.given or ()
            row.admitted, row.finish = True, "stop"
            if given:
                logs = log_probabilities(lines[-len(given) - 1 : -1].float().cpu().numpy())
                for token, line in zip(given, logs, strict=True):
                    note(row, token, min(float(line[token]), 0.0), line)

    def _padded(self, sequences: Sequence[TokenIds]) -> tuple[Any, Any]:
        """Return ids and mask, [rows, longest], padded on the left."""
        longest = max(map(len, sequences))
        gaps = [longest - len(each) for each in sequences]
        ids = [[0] * gap + list(each) for gap, each in zip(gaps, sequences, strict=True)]
        mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
        device = self._model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _run(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        """Return logits, [rows, places, vocabulary]."""
        return self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=cache is not None,
            **{self._cache_name: cache},
        ).logits


def _positions(mask: Any) -> Any:
    return (mask.cumsum(-1) - 1).clamp(min=0)
