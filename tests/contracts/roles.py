"""A scripted model that plays every role, for suites that run over the registry."""

from __future__ import annotations

import math
from collections.abc import Callable

from tts.messages import Completion, Request, TokenLogprob, Usage
from tts.testing import ScriptedBackend, completion

_LISTS = {
    "outline": "1. add them\n2. count up from three\n3. double and add one\n4. draw them",
    "decompose": "1. the sum [2, 3]\n2. the first number []\n3. the second number []",
    "choose": "1",
    "distil": "the first number = 3",
    "critique": "1. ok",
}


def play(request: Request) -> Completion:
    """Answer as the role would; everything follows from the request's seed."""
    seed = request.seed or 0
    if request.role == "verify":
        yes = (1 + seed % 98) / 100
        tops = (("Yes", _log(yes)), ("No", _log(1 - yes)))
        token = TokenLogprob(token="Yes", logprob=_log(yes), top=tops)
        return Completion(
            text="Yes", usage=Usage(completion_tokens=1), logprobs=(token,), model="scripted"
        )
    if request.role == "critique":
        return completion(f"1. step ok\nCorrect: {'Yes' if seed % 2 else 'No'}")
    if request.role == "select":
        return completion("1")
    if request.role in _LISTS:
        return completion(_LISTS[request.role])
    if request.role == "difficulty":
        return completion(f"0.{seed % 10}")
    words = f"{request.role} " + "step " * (seed % 7)
    return completion(f"{words}Answer: {seed % 3}", logprob=-(1 + seed % 5) / 10)


def _log(probability: float) -> float:
    return math.log(probability)


def actor(latency: Callable[[Request], float] | float = 0.0) -> ScriptedBackend:
    return ScriptedBackend(play, latency=latency)


def seeded_latency(scale: float) -> Callable[[Request], float]:
    """Latencies that follow from the seed: late tickets may finish first."""
    return lambda request: scale * (1 + (request.seed or 0) % 11)
