"""A backend that draws each sample once, however many strategies ask for it."""

from __future__ import annotations

from typing import Any

from tts.backends.base import Backend, Meter
from tts.layers import Layer
from tts.messages import Completion, Request

__all__ = ["Remembering"]

_APART = {"span", "role", "timeout", "priority", "logprobs", "top_logprobs", "ticket"}


class Remembering(Layer):
    """Answers what it has answered before with the same completion, at the same cost.

    Only for backends whose text depends on the request alone. What costs nothing here is charged
    all the same: strategies that share samples must not look cheaper for it.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._known: dict[Any, tuple[int, Completion]] = {}
        self.asked = self.drawn = 0

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer from memory, or ask."""
        self.asked += 1
        key = tuple((name, value) for name, value in request if name not in _APART)
        detail = max(int(request.logprobs), 2 * request.top_logprobs)
        known, completion = self._known.get(key, (-1, None))
        if completion is None or known < detail:
            completion = await self.inner.generate(request, meter)
            self.drawn += 1
            self._known[key] = (detail, completion)
        meter.settle(completion.usage)
        return completion
