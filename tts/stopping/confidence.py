"""How sure a model is: of a token, of a stretch of a trace, of its answers taken together."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from tts.errors import ConfigError
from tts.messages import Completion, TokenLogprob

__all__ = [
    "GroupConfidence",
    "certaindex",
    "cisc_weights",
    "lowest_group",
    "percentile",
    "token_confidence",
]


def token_confidence(token: TokenLogprob) -> float | None:
    """Return -mean(ln P) over the most probable tokens at a place; higher is more peaked.

    Returns:
        The confidence, above 0; None if the alternatives were not asked for.

    Source: Fu et al. 2025, arXiv:2508.15260 (DeepConf), read in its code; k = 20 there.
    """
    if not token.top:
        return None
    return -math.fsum(logprob for _, logprob in token.top) / len(token.top)


class GroupConfidence:
    """The mean confidence over a sliding window of a trace, token by token.

    Made for streams: feed it tokens as they come, and end the trace once `is_below` a threshold.

    Args:
        window: Tokens of a group; 2048 in the paper, for traces of ten thousands.

    Raises:
        ConfigError: If the window is empty.

    >>> group = GroupConfidence(window=2)
    >>> for confidence in (3.0, 1.0, 2.0, 4.0): group.add(confidence)
    >>> group.current, group.lowest, group.is_below(2.5)
    (3.0, 1.5, False)
    """

    def __init__(self, window: int = 2048) -> None:
        if window < 1:
            raise ConfigError(f"a group has at least one token, got {window}")
        self._window = window
        self._tokens: deque[float] = deque()
        self._sum = 0.0
        self._lowest = math.inf

    def add(self, confidence: float) -> None:
        """Take in the next token's confidence."""
        self._tokens.append(confidence)
        self._sum += confidence
        if len(self._tokens) > self._window:
            self._sum -= self._tokens.popleft()
        if len(self._tokens) == self._window:
            self._lowest = min(self._lowest, self._sum / self._window)

    @property
    def current(self) -> float | None:
        """Mean of the last group; of the whole trace while that is shorter."""
        return self._sum / len(self._tokens) if self._tokens else None

    @property
    def lowest(self) -> float | None:
        """Mean of the least confident full group; of the whole trace while there is none."""
        return self.current if math.isinf(self._lowest) else self._lowest

    def is_below(self, threshold: float) -> bool:
        """Return whether the last group is full and its mean below the threshold."""
        current = self.current
        full = len(self._tokens) == self._window
        return full and current is not None and current < threshold


def lowest_group(completion: Completion, window: int = 2048) -> float | None:
    """Return the mean confidence of a completion's least confident group.

    Returns:
        The mean; None if the completion lacks alternatives for a token.

    Source: Fu et al. 2025, arXiv:2508.15260 (DeepConf).
    """
    group = GroupConfidence(window)
    for token in completion.logprobs or ():
        confidence = token_confidence(token)
        if confidence is None:
            return None
        group.add(confidence)
    return group.lowest


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values lies, with linear interpolation.

    Args:
        values: At least one.
        share: In [0, 1].

    Raises:
        ConfigError: If there is no value, or the share is no share.

    >>> percentile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    ordered = sorted(values)
    if not ordered or not 0.0 <= share <= 1.0:
        raise ConfigError(f"a percentile needs values and a share in [0, 1], got {share}")
    place = share * (len(ordered) - 1)
    low = min(math.floor(place), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def certaindex(counts: Sequence[int]) -> float:
    """Return 1 - H / ln(n): 1 if all n answers agree, 0 if no two do or there are fewer than 2.

    Args:
        counts: Candidates of each answer.

    Source: Fu et al. 2024, arXiv:2412.20993 (Dynasor); the normalisation by ln(n), the largest
    entropy of n answers, is from memory and not checked against the paper.

    >>> certaindex([4]), certaindex([1, 1]), round(certaindex([3, 1]), 3)
    (1.0, 0.0, 0.594)
    """
    drawn = sum(counts)
    if drawn < 2:
        return 0.0
    shares = [count / drawn for count in counts if count]
    entropy = -math.fsum(share * math.log(share) for share in shares)
    return max(0.0, 1.0 - entropy / math.log(drawn))


def cisc_weights(confidences: Sequence[float], temperature: float) -> list[float]:
    """Return softmax(confidence / temperature) within one problem.

    The vote `confidence` makes the same choice: it leaves out the common denominator, with the
    mean log-probability as confidence and 1 / sharpness as temperature.

    Args:
        confidences: One for each candidate.
        temperature: Above 0; large values approach the plain vote.

    Raises:
        ConfigError: If the temperature is not positive.

    Source: Taubenfeld et al. 2025, arXiv:2502.06233 (CISC); the formula at second hand.

    >>> cisc_weights([0.0, 0.0], 1.0)
    [0.5, 0.5]
    """
    if not temperature > 0.0:
        raise ConfigError(f"a temperature is positive, got {temperature}")
    largest = max(confidences, default=0.0)
    parts = [math.exp((confidence - largest) / temperature) for confidence in confidences]
    total = math.fsum(parts)
    return [part / total for part in parts]
