"""What the stored samples of problems say of votes, and a strategy beside them at equal cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np

from tts.evals.equal import Compared, compare
from tts.evals.figures import Comparison, Point
from tts.evals.pools import Curves, Floats, Pool, curves
from tts.evals.records import Cell, Row
from tts.evals.statistics import Interval, bootstrap, detectable, sign_flip
from tts.evals.tries import Spent
from tts.resampling import pass_at_k

__all__ = ["FREE", "UNPRICED", "Pools", "Solved", "comparison"]

UNPRICED: Final = "a price is unknown"
"""Why there is no comparison at equal dollars begins so where models' prices would mend it."""
FREE: Final = "the baseline costs nothing"
"""Likewise."""
Solved: TypeAlias = tuple[int, Row]
"""A row, and the seed it was made with."""
_ENOUGH: Final = 0.9
"""Part of the largest pool's samples that another one must have: all are cut to their smallest."""
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Pools:
    """The stored samples of the problems that have enough, and what votes of them say."""

    places: dict[tuple[int, str], int]
    """Seed and problem to a row of the curves."""
    curves: Curves | None
    right: tuple[int, ...] = ()
    """Right samples of each."""
    lost: frozenset[tuple[int, str]] = frozenset()
    """Seeds and problems whose pool failed, or lost many more samples than others."""

    @classmethod
    def of(cls, cell: Cell, every: Sequence[Solved]) -> Self:
        """Read the pools of one strategy: its first cell, and the rows of all its seeds.

        Where calls were lost, pools are cut to the smallest of those that lost few.
        """
        rows = [(seed, row) for seed, row in every if row.status != "failed"]
        sizes = sorted(len(row.draws) for _, row in rows)
        ruled = any(row.stopped_by for _, row in rows)
        if not cell.is_pool or ((ruled or len(set(sizes)) > 1) and not cell.is_baseline):
            return cls({}, None)  # they, or how many there are, depend on what others say
        size = next((each for each in sizes if each >= _ENOUGH * sizes[-1]), 0)
        whole = [(seed, row) for seed, row in rows if len(row.draws) >= size]
        if size < 2:
            return cls({}, None, lost=frozenset((seed, row.example) for seed, row in every))
        pools = [_pool(row, is_vote=cell.is_vote).first(size) for _, row in whole]
        places = {(seed, row.example): at for at, (seed, row) in enumerate(whole)}
        hits = tuple(sum(bool(draw.right) for draw in row.draws[:size]) for _, row in whole)
        lost = frozenset((seed, row.example) for seed, row in every) - places.keys()
        return cls(places, curves(pools), hits, lost)

    def points(self) -> tuple[Point, ...]:
        """Return the curve, at powers of two."""
        if self.curves is None:
            return ()
        n, problems = self.curves.accuracy.shape[1], [problem for _, problem in self.places]
        found = []
        for k in dict.fromkeys([*(size for size in _SIZES if size < n), n]):
            usd = float(self.curves.usd[:, k - 1].mean())
            found.append(
                Point(
                    k,
                    self._accuracy(k, problems),
                    sum(pass_at_k(right, n, k) for right in self.right) / len(self.right),
                    float(self.curves.total[:, k - 1].mean()),
                    float(self.curves.critical[:, k - 1].mean()),
                    None if np.isnan(usd) else usd,
                )
            )
        return tuple(found)

    def _accuracy(self, k: int, problems: Sequence[str]) -> Interval:
        assert self.curves is not None
        ends = (self.curves.accuracy, self.curves.at_best)
        low, high = (bootstrap(end[:, k - 1], problems, beside=(0.0, 1.0)) for end in ends)
        return low.hull(high)


def _pool(row: Row, *, is_vote: bool) -> Pool:
    """Return a problem's samples, at what all of them cost together."""
    return Pool(
        tuple(draw.key for draw in row.draws),
        _keys(row, True),
        tuple(draw.completion_tokens for draw in row.draws),
        row.costs.cost_usd,
        tuple(draw.prompt_tokens for draw in row.draws),
        row.price,
        _beside(row) if is_vote else (0, 0),
        _keys(row, None),
        tuple(draw.cached_tokens for draw in row.draws),
        tuple(draw.delay_tokens for draw in row.draws),
    )


def _beside(row: Row) -> tuple[int, int]:
    """Return the tokens that were paid beside the samples: failed attempts, and lost tries."""
    prompts = sum(draw.prompt_tokens for draw in row.draws)
    completions = sum(draw.completion_tokens for draw in row.draws)
    costs = row.costs
    return max(0, costs.prompt_tokens - prompts), max(0, costs.completion_tokens - completions)


def _keys(row: Row, verdict: bool | None) -> set[str]:
    """Return the answers that have a verdict, in the words in which a vote for them is returned.

    A vote that wins is told by its first draw, and a checker may tell spellings apart.
    """
    first: dict[str, bool | None] = {}
    for draw in row.draws:
        if draw.key is not None:
            first.setdefault(draw.key, draw.right)
    return {key for key, found in first.items() if found is verdict}


@dataclass(frozen=True, slots=True)
class _Pair:
    """A run of the strategy beside the pool of the same problem and seed."""

    row: Row
    place: int
    name: str

    @property
    def right(self) -> bool | None:
        """The verdict; None if it is not known, or the run failed: another try may succeed."""
        return None if self.row.status == "failed" else self.row.right

    @property
    def unknown(self) -> str | None:
        """The answer that has no verdict, as votes count it."""
        answer = None if self.right is not None else self.row.answer
        if answer is None:
            return None
        return next((draw.key for draw in self.row.draws if draw.answer == answer), answer)


def comparison(kind: str, rows: Sequence[Solved], pools: Pools) -> Comparison | str | None:
    """Compare on the pairs of which there is a pool; None where there are none yet.

    A text says why there is no such cost to compare at.
    """
    pairs = [
        _Pair(row, pools.places[seed, row.example], f"{seed} {row.example}")
        for seed, row in rows
        if (seed, row.example) in pools.places
    ]
    if pools.curves is None or all(pair.row.status == "failed" for pair in pairs):
        return _why_none(rows, bool(pairs), pools)
    known = np.array([_cost(pair.row, kind) for pair in pairs], dtype=float)  # None: not a number
    baseline = pools.curves.of([pair.place for pair in pairs])
    costs = baseline.cost(kind)
    unpriced = int(np.isnan(known).sum() + np.isnan(costs[:, 0]).sum())
    if unpriced:
        return f"{UNPRICED} in {unpriced} of {2 * len(pairs)} runs of both sides"
    if not costs.any():
        return FREE
    spent = _spent(pairs, known, kind)
    return _told(kind, _ends(pairs, spent, baseline, costs), pairs, len(rows), baseline)


def _told(
    kind: str, ends: Sequence[_End], pairs: Sequence[_Pair], rows: int, baseline: Curves
) -> Comparison:
    worst, best = ends
    found, problems = worst.compared.hull(best.compared), len(worst.sums)
    tested = max(ends, key=lambda end: end.p)  # the less certain
    apart = min(end.lead for end in ends) < 0 < max(end.lead for end in ends)
    signs = [(worst.sums[name], best.sums[name]) for name in worst.sums]
    better = sum(low > 0 and high > 0 for low, high in signs)
    worse = sum(low < 0 and high < 0 for low, high in signs)
    return Comparison(
        kind=kind,
        pairs=len(pairs),
        problems=problems,
        left_out=rows - len(pairs),
        failed=sum(pair.row.status == "failed" for pair in pairs),
        unjudged=sum(
            pair.row.status != "failed" and (pair.right is None or bool(unknown))
            for pair, unknown in zip(pairs, baseline.unknown, strict=True)
        ),
        samples=found.match.samples,
        note=found.match.note,
        baseline=found.baseline,
        gain=found.gain,
        difference=(worst.lead + best.lead) / 2 / len(pairs),
        better=better,
        worse=worse,
        p=1.0 if apart else tested.p,  # one end says better, the other worse: nothing is known
        p_holm=1.0 if apart else tested.p,
        detectable=detectable(tested.by_problem),
        by_problem=tested.by_problem,
        off=found.match.off,
    )


@dataclass(frozen=True, slots=True)
class _End:
    """A comparison with one reading of all verdicts that are not known."""

    compared: Compared
    sums: dict[str, int]
    """By problem, over its seeds: the strategy's right answers less those of one vote each."""
    often: Counter[str]
    """Pairs of each problem."""

    @property
    def lead(self) -> int:
        """Right answers that the strategy has more than one vote each."""
        return sum(self.sums.values())

    @property
    def p(self) -> float:
        """That the lead is 0."""
        return sign_flip(list(self.sums.values()))

    @property
    def by_problem(self) -> tuple[float, ...]:
        """The difference on each problem, the mean over its seeds."""
        return tuple(total / self.often[name] for name, total in self.sums.items())


def _ends(
    pairs: Sequence[_Pair], spent: Floats, baseline: Curves, costs: Floats
) -> tuple[_End, _End]:
    """Compare if unknown verdicts are what is worst for the strategy, and what is best.

    Worst is that its own answer is wrong and all others without a verdict are right. An answer that
    both sides have given is right for both, or for neither.
    """
    mine = [set[str]() if pair.unknown is None else {pair.unknown} for pair in pairs]
    every = [set(unknown) for unknown in baseline.unknown]
    others = [unknown - own for unknown, own in zip(every, mine, strict=True)]
    return (
        _end(pairs, spent, baseline.if_right(others), costs, unknown=0),
        _end(pairs, spent, baseline.if_right(mine), costs, unknown=1),
    )


def _end(
    pairs: Sequence[_Pair],
    spent: Floats,
    votes: tuple[Floats, Floats],
    costs: Floats,
    *,
    unknown: int,
) -> _End:
    problems = [pair.row.example for pair in pairs]
    right = np.array([unknown if pair.right is None else pair.right for pair in pairs], float)
    compared = compare(right, spent, votes[0], costs, problems)
    dealt = compared.match.dealt(votes[1], [pair.name for pair in pairs])
    sums: Counter[str] = Counter()
    for problem, difference in zip(problems, right - dealt, strict=True):
        sums[problem] += round(difference)
    return _End(compared, dict(sums), Counter(problems))


def _why_none(rows: Sequence[Solved], is_paired: bool, pools: Pools) -> str | None:
    """Say why no pair is known; None if the strategy has not run yet."""
    if not rows:
        return None
    if all(row.status == "failed" for _, row in rows):
        return "all runs of the strategy failed"
    if is_paired:
        return "all its runs failed on the problems that have a whole pool of samples"
    lost = sum((seed, row.example) in pools.lost for seed, row in rows)
    if lost:
        return f"no pool of samples is whole: {lost} of {len(rows)} failed or lost calls"
    return "the baseline has not drawn the samples of its problems"


def _spent(pairs: Sequence[_Pair], known: Floats, kind: str) -> Floats:
    """Return what runs have cost; those that failed, at least as much as if the next try succeeds.

    It would cost what others do, beside what was in vain so far.
    """
    failed = np.array([pair.row.status == "failed" for pair in pairs])
    typical, vain = known[~failed].mean(), np.array([_in_vain(pair.row, kind) for pair in pairs])
    spent: Floats = np.where(failed, np.maximum(known, vain + typical), known)
    return spent


def _in_vain(row: Row, kind: str) -> float:
    """Return what no other try of a failed run can use: its finished calls answer the next one.

    Critical tokens begin anew with each try.
    """
    if row.tried is None or kind == "critical":
        return 0.0
    lost = row.tried.paid.less(Spent.sum(row.tried.made.values()))
    return float(lost.total_tokens) if kind == "total" else lost.cost_usd or 0.0


def _cost(row: Row, kind: str) -> float | None:
    costs = row.costs
    kinds = {"total": costs.total_tokens, "critical": costs.critical_tokens, "usd": costs.cost_usd}
    return kinds[kind]
