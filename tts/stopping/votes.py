"""How sure a vote is: functions of the leader's and the runner-up's counts.

The counts are of independent draws of one model and prompt, in the order of their submission.
`draws_further` turns any such function into the `earliest` of a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from tts.errors import ConfigError
from tts.votes import Standing, Tally

__all__ = [
    "draws_further",
    "earliest_win",
    "majority_posterior",
    "mixture_e_value",
    "require_iid",
    "smallest_leader",
    "weighted_e_value",
    "would_lead",
]

_GRID = 64


@lru_cache(maxsize=4096)
def majority_posterior(leader: int, runner_up: int) -> float:
    """Return the posterior chance that the leader is the likelier answer of the two.

    With a uniform prior on the leader's share q of their votes this is
    P(q > 1/2) = P(Bin(s + f + 1, 1/2) <= s), a sum of whole numbers over a power of two.
    Looking after each draw inflates it: it is no error rate.

    Args:
        leader: Votes of the leader, s; at least 0.
        runner_up: Votes of the runner-up, f; at least 0.

    Raises:
        ConfigError: If a count is negative.

    Source: Aggarwal et al. 2023, arXiv:2305.11860 (Adaptive-Consistency, the Beta criterion).

    >>> majority_posterior(4, 0), majority_posterior(2, 2)
    (0.96875, 0.5)
    """
    _check(leader, runner_up)
    draws = leader + runner_up + 1
    return float(Fraction(_combinations(draws, leader), 2**draws))


@lru_cache(maxsize=4096)
def mixture_e_value(leader: int, runner_up: int, unanimous: float = 0.0) -> float:
    """Return the evidence that the leader is likelier than the runner-up; infinite past 2^1000.

    The likelihood ratio of q, the leader's share of their votes, against 1/2, averaged over q
    uniform on (1/2, 1]: E = 2^(s+f+1) B(s+1, f+1) P(s, f) with P the `majority_posterior`. Where
    the leader is not likelier, E is a supermartingale of mean at most 1 for a leader named
    beforehand, so by Ville's inequality it ever reaches 1/delta with chance at most delta.

    Args:
        leader: Votes of the leader, s; at least 0.
        runner_up: Votes of the runner-up, f; at least 0.
        unanimous: Weight that the average gives to q = 1, in [0, 1). What is certain needs
            fewer draws then, what is not some more; the bound stays.

    Raises:
        ConfigError: If an argument is out of range.

    Source: derived here. Ville 1939; the mixture is the method of Robbins 1970,
    Ann. Math. Statist. 41.

    >>> round(mixture_e_value(7, 0), 3), round(mixture_e_value(5, 0, unanimous=0.5), 3)
    (31.875, 21.25)
    """
    _check(leader, runner_up)
    if not 0.0 <= unanimous < 1.0:
        raise ConfigError(f"unanimous is a weight in [0, 1), got {unanimous}")
    draws = leader + runner_up
    if draws > 1000:  # beyond the range of floats, and of any threshold
        return _large(leader, runner_up, unanimous)
    # B(s+1, f+1) = 1 / ((s+f+1) C(s+f, s)), so that E is a ratio of whole numbers.
    favourable = _combinations(draws + 1, leader)
    even = favourable / ((draws + 1) * math.comb(draws, leader))
    certain = 2.0**leader if runner_up == 0 else 0.0
    return (1.0 - unanimous) * even + unanimous * certain


def _combinations(n: int, most: int) -> int:
    """Sum of C(n, i) over i up to `most`, less than n, from the shorter side."""
    few = min(most, n - most - 1)
    term = total = 1
    for i in range(few):
        term = term * (n - i) // (i + 1)
        total += term
    return total if few == most else 2**n - total


def _large(leader: int, runner_up: int, unanimous: float) -> float:
    draws = leader + runner_up
    favourable = _combinations(draws + 1, leader)
    log_e = math.log(favourable) - math.log(draws + 1) - math.log(math.comb(draws, leader))
    if unanimous and runner_up == 0:
        log_e = max(log_e, math.log(unanimous) + leader * math.log(2.0))
    elif unanimous:
        log_e += math.log1p(-unanimous)
    return math.exp(log_e) if log_e < 700.0 else math.inf


def weighted_e_value(
    for_it: Sequence[float], against: Sequence[float], unanimous: float = 0.0
) -> float:
    """Return the evidence that an answer gathers more weight than its rival.

    The average of prod (1 + b w_i) prod (1 - b w_j) over bets b on a grid in (0, 1). Where the
    answer's expected weight in a draw is not the larger one, every factor has mean at most 1
    given the past, so this is an e-process like `mixture_e_value`, which it approximates where
    all weights are 1.

    Args:
        for_it: Weights of the answer's candidates, each in [0, 1].
        against: Weights of the rival's candidates.
        unanimous: Weight that the average gives to a bet of 1, in [0, 1).

    Raises:
        ConfigError: If a weight or `unanimous` is out of range.

    Source: derived here; betting on a bounded mean as in Waudby-Smith and Ramdas 2023,
    arXiv:2010.09686.

    >>> [round(weighted_e_value([1.0] * draws, []), 1) for draws in (7, 0)]
    [31.9, 1.0]
    """
    if not all(0.0 <= weight <= 1.0 for weight in (*for_it, *against)):
        raise ConfigError("weights lie in [0, 1]")
    if not 0.0 <= unanimous < 1.0:
        raise ConfigError(f"unanimous is a weight in [0, 1), got {unanimous}")
    shares = [(1.0, unanimous)] if unanimous and 1.0 not in against else []
    shares += [((step + 0.5) / _GRID, (1.0 - unanimous) / _GRID) for step in range(_GRID)]
    logs = [
        math.log(share)
        + math.fsum(math.log1p(bet * weight) for weight in for_it)
        + math.fsum(math.log1p(-bet * weight) for weight in against)
        for bet, share in shares
    ]
    largest = max(logs)
    total = math.fsum(math.exp(each - largest) for each in logs)
    return math.exp(largest) * total if largest < 700.0 else math.inf


def _check(leader: int, runner_up: int) -> None:
    if leader < 0 or runner_up < 0:
        raise ConfigError(f"counts are not negative, got {leader} and {runner_up}")


def draws_further(stops: Callable[[int], bool], remaining: int) -> int:
    """Return the least k in [1, remaining] for which `stops(k)`, else `remaining`.

    Args:
        stops: Says whether the rule would stop after k further draws of its best case; once
            true it stays true.
        remaining: Draws that are left; at least 1.
    """
    if not stops(remaining):
        return remaining
    low, high = 0, remaining
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if stops(middle) else (middle, high)
    return high


def earliest_win(tally: Tally, remaining: int, stops: Callable[[str, int], bool]) -> int:
    """Return after how many draws a rule could stop at the earliest, whoever leads by then.

    Args:
        tally: What was drawn.
        remaining: Draws that are left; at least 1.
        stops: Says of an answer and a number k whether the rule would stop if that answer led
            after k further votes of weight 1, all for it. More votes never undo a stop. The empty
            text stands for an answer that was not seen yet.
    """
    standings = tally.standings
    top = standings[0].exact if standings else Fraction(0)
    best = remaining
    for group, own in [*((each.group, each.exact) for each in standings), ("", Fraction(0))]:
        if top - own <= best:  # else it cannot lead any sooner

            def wins(k: int, group: str = group, own: Fraction = own) -> bool:
                return would_lead(tally, group, own + k) and stops(group, k)

            best = draws_further(wins, best)
    return best


def would_lead(tally: Tally, group: str, weight: Fraction) -> bool:
    """Return whether an answer of that weight stands first; an unseen one comes last of equals."""
    for standing in tally.standings:
        if standing.group == group:
            return True  # all before it weigh less
        if standing.exact > weight:
            return False
        if standing.exact == weight and not _came_before(tally, group, standing):
            return False
    return True


def _came_before(tally: Tally, group: str, other: Standing) -> bool:
    mine = next((each for each in tally.standings if each.group == group), None)
    return mine is not None and mine.first_ticket < other.first_ticket


def smallest_leader(stops: Callable[[int, int], bool], runner_up: int, most: int = 1000) -> int:
    """Return the fewest votes with which a leader stops a rule against so many others.

    Raises:
        ConfigError: If `most` votes do not.

    >>> smallest_leader(lambda s, f: mixture_e_value(s, f) >= 20, runner_up=1)
    10
    """
    for votes in range(most + 1):
        if stops(votes, runner_up):
            return votes
    raise ConfigError(f"{most} votes do not stop the rule")


def require_iid(tally: Tally, rule: str) -> None:
    """Refuse a tally whose candidates are not the independent draws that a guarantee is about.

    What can be seen is checked: tickets increase (one sample, in submission order) and one model
    answered. Failed calls may leave gaps.

    Raises:
        ConfigError: If they are not.
    """
    drawn = tally.candidates
    if any(late.ticket <= early.ticket for early, late in pairwise(drawn)):
        why = "come from several samples, or not in ticket order"
    elif len({candidate.completion.model for candidate in drawn}) > 1:
        why = "come from several models"
    else:
        return
    raise ConfigError(
        f"rule {rule!r} judges independent draws of one model and prompt, and these {why}: "
        "choose another rule, or set assume_iid: true if they are independent all the same"
    )
