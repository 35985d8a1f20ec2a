"""How sure a vote is: functions of the leader's and the runner-up's counts.

The counts are of independent draws of one model and prompt, in the order of their submission.
`draws_further` turns any such function into the `earliest` of a rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from tts.errors import ConfigError
from tts.votes import Tally

__all__ = [
    "Race",
    "draws_further",
    "earliest_win",
    "fewest",
    "majority_posterior",
    "mixture_e_value",
    "race",
    "require_iid",
    "smallest_leader",
    "votes_to_lead",
    "weighted_e_value",
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


def fewest(stops: Callable[[int], bool]) -> int:
    """Return the least number of votes, at least 1, for which `stops`; enough of them do.

    >>> fewest(lambda votes: votes >= 5)
    5
    """
    most = 1
    while not stops(most):
        most *= 2
    return draws_further(stops, most)


def earliest_win(tally: Tally, remaining: int, wanted: Callable[[str, int], int]) -> int:
    """Return after how many draws a rule could stop at the earliest, whoever leads by then.

    Args:
        tally: What was drawn.
        remaining: Draws that are left; at least 1.
        wanted: Says of an answer after how many further votes of weight 1, all for it, the rule
            would stop if it led then; the number it is given, or more, if not sooner. More votes
            never undo a stop. The empty text stands for an answer that was not seen yet.
    """
    best = remaining
    for group, least in _votes_to_lead(tally, len(tally.candidates)).items():
        if least < best:
            best = min(best, max(1, least, wanted(group, best)))
    return best


def votes_to_lead(tally: Tally) -> Mapping[str, int]:
    """Return after how many votes in a row, each of weight 1, each answer would stand first.

    The answers are in their order, so that the leader comes first, with 0. The empty text stands
    for an answer that was not seen yet, which comes last of equals.
    """
    return _votes_to_lead(tally, len(tally.candidates))


@lru_cache(maxsize=1)  # the rules of a replay ask one tally in turn; with `drawn` it is settled
def _votes_to_lead(tally: Tally, drawn: int) -> Mapping[str, int]:
    standings = tally.standings
    if not standings:
        return {"": 0}
    top = standings[0]
    found = {top.group: 0}
    for each in standings[1:]:
        gap = top.exact - each.exact
        wins_tie = each.first_ticket < top.first_ticket  # of equals the earliest stands first
        found[each.group] = math.ceil(gap) if wins_tie else math.floor(gap) + 1
    found.setdefault("", math.floor(top.exact) + 1)
    return found


class Race(NamedTuple):
    """The votes of an answer, and of its strongest rival."""

    place: int
    """When the answer appeared, from 1."""
    own: int
    rival: int


def race(tally: Tally, group: str, *, after_first: bool = False) -> Race:
    """Return how an answer stands against its strongest rival, candidates counted without weight.

    Args:
        tally: What was drawn.
        group: The answer; the empty text stands for one that was not seen yet.
        after_first: Count from the draw on that follows the answer's first one. An answer not seen
            yet has -1 votes then, as its first one does not count.
    """
    races = _races(tally, len(tally.candidates), after_first)
    return races.get(group) or races[""]


@lru_cache(maxsize=2)  # as above, counted both ways
def _races(tally: Tally, drawn: int, after_first: bool) -> dict[str, Race]:
    voted = [ballot[0] for ballot in tally.ballots if ballot]
    firsts: dict[str, int] = {}
    for at, group in enumerate(voted):
        firsts.setdefault(group, at)
    found = {
        group: _race(place, group, voted[first + 1 :] if after_first else voted)
        for place, (group, first) in enumerate(firsts.items(), 1)
    }
    last = len(firsts) + 1
    found.setdefault("", Race(last, -1, 0) if after_first else _race(last, "", voted))
    return found


def _race(place: int, group: str, voted: Sequence[str]) -> Race:
    counts = Counter(voted)
    own = counts.pop(group, 0)
    return Race(place, own, max(counts.values(), default=0))


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
    why = _why_not_iid(tally, len(tally.candidates))
    if why is not None:
        raise ConfigError(
            f"rule {rule!r} judges independent draws of one model and prompt, and these {why}: "
            "choose another rule, or set assume_iid: true if they are independent all the same"
        )


@lru_cache(maxsize=1)  # as above
def _why_not_iid(tally: Tally, drawn: int) -> str | None:
    found = tally.candidates
    if any(late.ticket <= early.ticket for early, late in pairwise(found)):
        return "come from several samples, or not in ticket order"
    if len({candidate.completion.model for candidate in found}) > 1:
        return "come from several models"
    return None
