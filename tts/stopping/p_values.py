"""p-values of "the risk is above a level": small ones are evidence that it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tts.errors import ConfigError
from tts.stopping.binomial import at_most

__all__ = ["betting_p", "binomial_p", "hoeffding_bentkus_p"]


def binomial_p(failures: int, n: int, level: float) -> float:
    """Return P(Bin(n, level) <= failures): the p-value of "the risk is above level".

    For losses of 0 and 1; the sharpest there is.

    Args:
        failures: Losses of 1, in [0, n].
        n: Independent units, problems as a rule; at least 1.
        level: The risk that is to be ruled out, in (0, 1).

    Raises:
        ConfigError: If an argument is out of range.

    >>> round(binomial_p(5, 100, 0.1), 6)
    0.057577
    """
    _check(failures / n if n > 0 else math.nan, n, level)
    return at_most(failures, n, level)


def hoeffding_bentkus_p(risk: float, n: int, level: float) -> float:
    """Return the Hoeffding-Bentkus p-value of "the risk is above level", for losses in [0, 1].

    min(exp(-n h(min(risk, level), level)), e P(Bin(n, level) <= ceil(n risk))) with
    h(a, b) = a ln(a/b) + (1-a) ln((1-a)/(1-b)).

    Args:
        risk: Mean loss, in [0, 1].
        n: Independent units; at least 1.
        level: The risk that is to be ruled out, in (0, 1).

    Raises:
        ConfigError: If an argument is out of range.

    Source: Bates et al. 2021, arXiv:2101.02703, section 3.1.3; Angelopoulos et al. 2021,
    arXiv:2110.01052. Checked against MAPIE.

    >>> round(hoeffding_bentkus_p(0.05, 100, 0.1), 6)
    0.15651
    """
    _check(risk, n, level)
    seen = min(risk, level)
    divergence = (1.0 - seen) * math.log((1.0 - seen) / (1.0 - level))
    if seen > 0.0:
        divergence += seen * math.log(seen / level)
    losses = math.ceil(round(n * risk, 9))  # n * risk that is a whole number may be rounded up
    bentkus = math.e * at_most(losses, n, level)
    return min(1.0, math.exp(-n * divergence), bentkus)


def betting_p(losses: Sequence[float], level: float, delta: float = 0.1) -> float:
    """Return the betting p-value of "the mean loss is above level", for losses in [0, 1].

    A capital that bets against that mean, K_t = prod (1 - v_i (L_i - level)), is a supermartingale
    where it is true, so by Ville's inequality min(1, 1 / max_t K_t) is a p-value, at every t at
    once. The bet on a loss is fixed by those before it: v_i = min(1, sqrt(2 ln(1/delta) / (n s))),
    s their variance, shrunk to 1/4. Sharper than Hoeffding-Bentkus where losses vary little.

    Args:
        losses: One each independent unit, in an order fixed beforehand.
        level: The mean that is to be ruled out, in (0, 1).
        delta: Level at which the bets pay best, in (0, 1); the p-value holds at any.

    Raises:
        ConfigError: If a loss or an argument is out of range, or there is no loss.

    Source: Waudby-Smith and Ramdas 2023, arXiv:2010.09686, for one side; these bets are those of
    Bates et al. 2021, arXiv:2101.02703, from memory. That the capital is a fair game is tested.

    >>> round(betting_p([0.02] * 100, level=0.1), 6)
    0.00053
    """
    if not 0.0 < delta < 1.0 or not all(0.0 <= loss <= 1.0 for loss in losses):
        raise ConfigError(f"bets need losses in [0, 1] and delta in (0, 1), got delta {delta:g}")
    _check(0.0, len(losses), level)
    total, spread, variance = 0.5, 0.25, 0.25
    capital = best = 0.0  # logarithms
    stake = 2.0 * math.log(1.0 / delta) / len(losses)
    for at, loss in enumerate(losses, 1):
        bet = min(1.0, math.sqrt(stake / variance))
        capital += math.log1p(-bet * (loss - level))
        best = max(best, capital)
        total += loss
        spread += (loss - total / (at + 1)) ** 2
        variance = spread / (at + 1)
    return math.exp(-best)


def _check(risk: float, n: int, level: float) -> None:
    if n < 1 or not 0.0 <= risk <= 1.0 or not 0.0 < level < 1.0:
        raise ConfigError(
            f"a p-value needs n >= 1, a risk in [0, 1] and a level in (0, 1), "
            f"got {n}, {risk} and {level}"
        )
