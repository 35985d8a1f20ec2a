"""How sure a model was of its own words, token by token, and the votes that go by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from pydantic import PositiveInt

from tts.messages import TokenLogprob
from tts.problem import Candidate
from tts.votes import Vote

__all__ = ["DeepConf", "SelfCertainty", "lowest_group", "self_certainty", "token_confidence"]

_MOST_NATS: Final = 50.0
"""Log-probabilities below minus this are cut there: some servers write -9999 for "never"."""
_ALTERNATIVES: Final = 20  # as many as a request may ask for


def token_confidence(entry: TokenLogprob) -> float:
    """Return how sure a model was at one token, in [0, 50] nats.

    With alternatives it is `-(1/k) sum_j log p_j` over the k that are known (DeepConf:
    a sharp distribution leaves little to the others). Without, it is the token's own probability,
    in [0, 1]: a coarser measure, on another scale.
    """
    if not entry.top:
        return math.exp(entry.logprob)
    return -sum(_bounded(logprob) for _, logprob in entry.top) / len(entry.top)


def lowest_group(confidences: Sequence[float], window: int) -> float:
    """Return the least mean confidence of `window` consecutive tokens.

    Fewer tokens than that are one group.

    Args:
        confidences: One a token; at least one.
        window: Tokens a group.

    >>> lowest_group([4.0, 1.0, 3.0, 4.0], window=2)
    2.0
    """
    size = min(window, len(confidences))
    sums = list(accumulate(confidences, initial=0.0))
    return min(sums[end] - sums[end - size] for end in range(size, len(sums))) / size


def self_certainty(entry: TokenLogprob, vocabulary: int | None = None) -> float:
    """Return the divergence KL(uniform || p) at one token, in [0, 50] nats.

    It is `-(1/V) sum_j log(V p_j)` over all V tokens. Where fewer alternatives are known than V,
    what is left of the probability is spread evenly over the rest, which gives a lower bound; it
    is exact where all are known. Without V the known ones count as the whole vocabulary.

    Args:
        entry: A token with alternatives.
        vocabulary: V; None where it is not known.

    Source: Kang et al. 2025, arXiv:2502.18581 (there with all V probabilities).
    """
    known = [_bounded(logprob) for _, logprob in entry.top]
    mass = sum(map(math.exp, known))
    size = max(vocabulary or 0, len(known))
    if vocabulary is None:
        known = [logprob - math.log(mass) for logprob in known]
    rest = size - len(known)
    left = _bounded(math.log(max(1.0 - mass, math.exp(-_MOST_NATS)) / rest)) if rest else 0.0
    mean = (sum(known) + rest * left) / size
    return min(max(-mean - math.log(size), 0.0), _MOST_NATS)


def _bounded(logprob: float) -> float:
    return min(max(logprob, -_MOST_NATS), 0.0)


class DeepConf(Vote, name="deepconf"):
    """Weigh a candidate by its least sure stretch: the lowest group confidence.

    The weight is proportional to `min over groups of mean_{t in group} C_t`, with the token
    confidence `C_t = -(1/k) sum_j log p_j` over up to 20 alternatives. Where the model gives no
    alternatives, `C_t` is the token's own probability. No calibration is claimed.

    Source: Fu et al. 2025, arXiv:2508.15260 (there a window of 2,048).
    """

    needs = frozenset({"logprobs"})

    window: PositiveInt = 64
    """Tokens a group; the paper's 2048 is for chains of tens of thousands of tokens."""

    def alternatives(self) -> int:
        """Return 20."""
        return _ALTERNATIVES

    def weight(self, candidate: Candidate) -> float | None:
        """Return the weight, or None without log-probabilities."""
        entries = candidate.completion.logprobs
        if not entries:
            return None
        scale = _MOST_NATS if any(entry.top for entry in entries) else 1.0
        lowest = lowest_group([token_confidence(entry) for entry in entries], self.window)
        return min(max(lowest / scale, 0.0), 1.0)


class SelfCertainty(Vote, name="self_certainty"):
    """Weigh a candidate by how far its tokens' distributions were from uniform.

    The weight is proportional to the mean over tokens of KL(uniform || p). An API gives at most 20
    alternatives of each token: with `vocabulary` the rest is bounded, without it left out. The
    paper uses it through ranks: `{use: borda, by: self_certainty}`.

    Source: Kang et al. 2025, arXiv:2502.18581.
    """

    needs = frozenset({"logprobs", "top_logprobs"})

    vocabulary: PositiveInt | None = None
    """Tokens of the model's vocabulary; None counts the known alternatives only."""

    def alternatives(self) -> int:
        """Return 20."""
        return _ALTERNATIVES

    def weight(self, candidate: Candidate) -> float | None:
        """Return the weight, or None without alternatives."""
        entries = [entry for entry in candidate.completion.logprobs or () if entry.top]
        if not entries:
            return None
        total = sum(self_certainty(entry, self.vocabulary) for entry in entries)
        return total / len(entries) / _MOST_NATS
