"""Choose a setting whose risk is certified, or say that the data certify none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tts.errors import ConfigError, NotCertifiable
from tts.stopping.binomial import at_most, decimal, most_failures, upper_bound
from tts.stopping.p_values import binomial_p

__all__ = [
    "Certificate",
    "certify",
    "control_risk",
    "fixed_sequence",
    "holm",
    "problems_needed",
    "worst_ahead",
]

_MOST_PROBLEMS = 10_000_000


def fixed_sequence(p_values: Sequence[float], delta: float) -> list[int]:
    """Return which hypotheses are rejected, tested in their order until one is not.

    The chance of any false rejection is at most delta, if the order was fixed without these data.

    Args:
        p_values: In that order.
        delta: Family-wise error, in (0, 1).

    Source: Angelopoulos et al. 2021, arXiv:2110.01052, section 2.3 (fixed sequence testing).

    >>> fixed_sequence([0.01, 0.04, 0.2, 0.001], delta=0.05)
    [0, 1]
    """
    rejected = []
    for index, p in enumerate(p_values):
        if p > delta:
            break
        rejected.append(index)
    return rejected


def holm(p_values: Sequence[float], delta: float) -> list[int]:
    """Return which hypotheses are rejected by Holm's step-down procedure, whatever their order.

    The chance of any false rejection is at most delta under any dependence.

    Args:
        p_values: One each.
        delta: Family-wise error, in (0, 1).

    Source: Holm 1979, Scand. J. Statist. 6.

    >>> holm([0.04, 0.01, 0.03], delta=0.05)
    [1]
    """
    rejected = []
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for done, index in enumerate(order):
        if p_values[index] > delta / (len(p_values) - done):
            break
        rejected.append(index)
    return sorted(rejected)


def problems_needed(level: float, delta: float, risk: float = 0.0) -> int | None:
    """Return how many problems it takes to certify a level if failures come at the rate `risk`.

    Args:
        level: Risk to be ruled out, in (0, 1).
        delta: Chance of a false certificate, in (0, 1).
        risk: Rate at which failures are expected.

    Returns:
        The least n with P(Bin(n, level) <= ceil(risk n)) <= delta, up to small bumps of the
        ceiling; None if the rate is not below the level.

    Raises:
        ConfigError: If level or delta is not in (0, 1).

    >>> problems_needed(0.05, 0.1), problems_needed(0.05, 0.1, risk=0.05)
    (45, None)
    """
    if not (0.0 < level < 1.0 and 0.0 < delta < 1.0):
        raise ConfigError(f"level and delta lie in (0, 1), got {level} and {delta}")
    if risk >= level:
        return None

    def suffices(n: int) -> bool:
        return at_most(math.ceil(round(risk * n, 9)), n, level) <= delta

    high = 1
    while not suffices(high):
        high *= 2
        if high > _MOST_PROBLEMS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Certificate:
    """Settings whose risk is at most `level`, all of them at once, but with chance `delta`.

    Attributes:
        level: The risk that is certified.
        delta: Chance, over calibration sets, that the certificate is false.
        n: Problems that it rests on.
        certified: Places of the settings in the ladder.
        bounds: For every setting, failures and the upper Clopper-Pearson bound by itself.
    """

    level: float
    delta: float
    n: int
    certified: tuple[int, ...]
    bounds: tuple[tuple[int, float], ...]


def certify(losses: Sequence[Sequence[bool]], level: float, delta: float) -> Certificate:
    """Learn then test: return the settings whose risk is certified.

    P(every certified setting has risk <= level) >= 1 - delta over calibration sets of independent
    problems. Settings are tested in the order in which they are given, so that it must not come
    from these problems; the risk need not grow along it. Choose among the certified as you like.

    Args:
        losses: For each setting, the most cautious first, whether it failed, by problem.
        level: Risk that is to be certified, in (0, 1).
        delta: Chance of a false certificate, in (0, 1).

    Raises:
        ConfigError: If there is no setting or problem, or the settings saw different problems.
        NotCertifiable: If not even the first setting is certified.

    Source: Angelopoulos et al. 2021, arXiv:2110.01052 (Learn then Test), with the exact binomial
    p-value and fixed-sequence testing.

    >>> certify([[False] * 50, [False] * 49 + [True]], level=0.05, delta=0.1).certified
    (0,)
    """
    n = len(losses[0]) if losses else 0
    if not n or any(len(row) != n for row in losses):
        raise ConfigError("calibration needs settings, problems, and every setting on all of them")
    failures = [sum(row) for row in losses]
    rejected = fixed_sequence([binomial_p(count, n, level) for count in failures], delta)
    if not rejected:
        raise _refusal(failures[0], n, level, delta)
    bounds = tuple((count, upper_bound(count, n, delta)) for count in failures)
    return Certificate(level, delta, n, tuple(rejected), bounds)


def _refusal(failures: int, n: int, level: float, delta: float) -> NotCertifiable:
    if most_failures(n, level, delta) is None:
        reason = f"{n} problems cannot certify {level:g} at delta {delta:g} even without a failure"
    else:
        reason = (
            f"the most cautious setting failed on {failures} of {n} problems, "
            f"which does not certify {level:g} at delta {delta:g}"
        )
    return NotCertifiable(
        reason,
        level=upper_bound(failures, n, delta),
        needed=problems_needed(level, delta, failures / n),
    )


def control_risk(losses: Sequence[Sequence[float]], alpha: float, most: float = 1.0) -> int:
    """Return the first setting with (n mean loss + most) / (n + 1) <= alpha.

    Conformal risk control: the expected loss on a new problem is then at most alpha, over
    calibration sets and the new problem together. Of this calibration set it says nothing.

    Args:
        losses: For each problem, its loss at each setting, boldest first; it must never grow.
        alpha: Expected loss that is allowed.
        most: The largest possible loss.

    Returns:
        The setting's place.

    Raises:
        ConfigError: If a problem's loss grows along the settings or exceeds `most`: such losses,
            usual in early stopping, void the guarantee. Use `certify`, or `worst_ahead` first.
        NotCertifiable: If no setting is good enough.

    Source: Angelopoulos et al. 2022, arXiv:2208.02814, equation 4 and theorem 1. Checked against
    MAPIE.

    >>> control_risk([[1.0, 0.0]] * 19, alpha=0.05)
    1
    """
    n = len(losses)
    settings = len(losses[0]) if losses else 0
    if not settings or any(len(row) != settings for row in losses):
        raise ConfigError("risk control needs problems, settings, and a loss for each pair")
    if any(late > early for row in losses for early, late in pairwise(row)):
        raise ConfigError(
            "a loss grows along the settings: conformal risk control holds for monotone losses "
            "only; use certify, or worst_ahead(losses)"
        )
    if any(not 0.0 <= loss <= most for row in losses for loss in row):
        raise ConfigError(f"losses lie in [0, {most:g}]")
    budget = decimal(alpha) * (n + 1) - decimal(most)
    for setting in range(settings):
        if decimal(math.fsum(row[setting] for row in losses)) <= budget:
            return setting
    mean = math.fsum(row[-1] for row in losses) / n
    reachable = (n * mean + most) / (n + 1)
    needed = math.ceil((most - alpha) / (alpha - mean)) if alpha > mean else None
    raise NotCertifiable(
        f"no setting has expected loss <= {alpha:g} on {n} problems", level=reachable, needed=needed
    )


def worst_ahead(losses: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return losses made monotone: at each setting, the worst of it and all that follow.

    Risk control of these controls the losses themselves, more cautiously.

    >>> worst_ahead([[0.0, 1.0, 0.0]])
    [[1.0, 1.0, 0.0]]
    """
    result = []
    for row in losses:
        worst = list(row)
        for at in range(len(worst) - 2, -1, -1):
            worst[at] = max(worst[at], worst[at + 1])
        result.append(worst)
    return result
