"""Samples that were drawn once, and what the votes of fewer of them would be right on, and cost.

For each problem a pool of m samples is stored: answers and costs. Self-consistency with N samples
is the plain vote over N of them, drawn without replacement, ties to the first: its accuracy on a
problem is the mean over 64 random orders of the pool, of one and of two samples over all orders.
Its critical cost is that of the dearest of the N, with the failed attempts before it, on average
over all sets of N. Its total cost is the prompts of as many requests as the first N took, and N
times the pool's mean of the other tokens; its cost in dollars, the same at the model's price, where
the first N's prompt tokens from a prefix cache are as cheap as they were. A server that draws
several samples in one request charges the prompt once, for whoever asks it so. What a pool paid
beside its samples, failed attempts and tries in vain, is borne by all of its m samples alike: so
all of them cost what drawing them has cost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tts.backends.base import Price
from tts.resampling import vote_curve, vote_shares

__all__ = ["Curves", "Floats", "Pool", "curves"]

Floats: TypeAlias = NDArray[np.float64]
_CURVES: Final = ("accuracy", "total", "critical", "usd", "votes")


@dataclass(frozen=True, slots=True)
class Pool:
    """The samples of one problem."""

    answers: tuple[str | None, ...]
    """Canonical; None abstains."""
    right: str | Collection[str]
    """The right answer, canonical, or all answers that are right."""
    costs: tuple[int, ...]
    """Tokens of each, less those in `prompts`."""
    usd: float | None = None
    """What all of them cost together; None where that is unknown."""
    prompts: tuple[int, ...] = ()
    """Prompt tokens charged with each: 0 for one that came in the request of an earlier one."""
    price: Price | None = None
    """Of one token beside the other; without it dollars are as many as tokens."""
    beside: tuple[float, float] = (0, 0)
    """Prompt and completion tokens that were paid beside the samples: of failed attempts, and of
    tries in vain. N of m samples bear N / m of them."""
    unjudged: Collection[str] = ()
    """Answers that may be right or wrong, since the checker failed on them."""
    cached: tuple[int, ...] = ()
    """The part of `prompts` that came from the provider's prefix cache."""
    delays: tuple[int, ...] = ()
    """Tokens of failed attempts before each, which it had to wait for."""

    def first(self, n: int) -> Pool:
        """Return the pool of the first N samples, N from 1, at their part of what all cost."""
        m = len(self.costs)
        if n == m:
            return self
        some = replace(
            self,
            answers=self.answers[:n],
            costs=self.costs[:n],
            prompts=self.prompts[:n],
            beside=(self.beside[0] * n / m, self.beside[1] * n / m),
            cached=self.cached[:n],
            delays=self.delays[:n],
        )
        every = _worth(self)[-1]
        share = _worth(some)[-1] / every if every else 1.0
        return replace(some, usd=None if self.usd is None else float(self.usd * share))

    @property
    def charged(self) -> Floats:
        """Prompt tokens that the first N were charged with; shape (m,)."""
        return np.cumsum(self.prompts or (0,) * len(self.costs), dtype=float)

    @property
    def waits(self) -> Floats:
        """Tokens that each waits for, its prompt and failed attempts included; shape (m,)."""
        nothing = (0,) * len(self.costs)
        prompts, delays = self.prompts or nothing, self.delays or nothing
        waited, request = list[float](), 0
        for prompt, own, delay in zip(prompts, self.costs, delays, strict=True):
            request = prompt or request
            waited.append(float(request + own + delay))
        return np.array(waited)

    @property
    def tokens(self) -> tuple[Floats, Floats]:
        """Prompt tokens, and all others, that N = 1..m samples cost; shapes (m,)."""
        m = len(self.costs)
        numbers: Floats = np.arange(1.0, m + 1)
        prompts = self.charged + numbers * self.beside[0] / m
        return prompts, numbers * (sum(self.costs) + self.beside[1]) / m


@dataclass(frozen=True, slots=True)
class Curves:
    """Self-consistency on each problem with N = 1..m samples; shapes (problems, m)."""

    accuracy: Floats
    total: Floats
    critical: Floats
    usd: Floats
    """Not a number where a price is unknown."""
    votes: Floats
    """1 where the vote of the first N by ticket is right, else 0."""
    unknown: Sequence[Mapping[str, tuple[Floats, Floats]]]
    """Of each problem what its unjudged answers would add to `accuracy` and `votes`, by answer:
    these two count none of them as right."""

    def of(self, problems: Sequence[int]) -> Curves:
        """Return the curves of some of the problems."""
        at = list(problems)
        return Curves(
            accuracy=self.accuracy[at],
            total=self.total[at],
            critical=self.critical[at],
            usd=self.usd[at],
            votes=self.votes[at],
            unknown=[self.unknown[place] for place in at],
        )

    def if_right(self, answers: Sequence[Collection[str]]) -> tuple[Floats, Floats]:
        """Return `accuracy` and `votes` if these answers of each problem were right."""
        accuracy, votes = self.accuracy.copy(), self.votes.copy()
        for at, (unknown, right) in enumerate(zip(self.unknown, answers, strict=True)):
            for answer in unknown.keys() & set(right):
                more, won = unknown[answer]
                accuracy[at] += more
                votes[at] += won
        return accuracy, votes

    @property
    def at_best(self) -> Floats:
        """`accuracy` if all answers that could not be judged were right."""
        return self.if_right([unknown.keys() for unknown in self.unknown])[0]

    def cost(self, kind: str) -> Floats:
        """Return the costs of a kind: `total`, `critical` or `usd`."""
        return {"total": self.total, "critical": self.critical, "usd": self.usd}[kind]


def curves(pools: Sequence[Pool], seed: int = 0) -> Curves:
    """Return the curves of problems whose pools are equally large; without samples, empty ones."""
    rng, m = np.random.default_rng(seed), len(pools[0].costs) if pools else 0
    found: dict[str, list[Floats]] = {name: [] for name in _CURVES}
    unknown = []
    for pool in pools:
        shares, orders = vote_curve(pool.answers, pool.right, rng)
        right = {pool.right} if isinstance(pool.right, str) else set(pool.right)
        shares = _exact(shares, pool.answers, right)
        prompts, own = pool.tokens
        found["accuracy"].append(shares)
        found["total"].append(prompts + own)
        found["critical"].append(_longest(pool.waits))
        found["usd"].append(_dollars(pool))
        found["votes"].append(_votes(pool.answers, pool.right))
        unknown.append(
            {
                each: (
                    _exact(vote_shares(pool.answers, each, orders), pool.answers, {each}),
                    _votes(pool.answers, each),
                )
                for each in pool.unjudged
            }
        )
    arrays = {name: np.array(rows, float).reshape(len(pools), m) for name, rows in found.items()}
    return Curves(**arrays, unknown=unknown)


def _exact(shares: Floats, answers: Sequence[str | None], right: Collection[str]) -> Floats:
    """Return shares with those of one sample and of two as they are over all orders.

    Of two that differ the first decides, and the other one where the first abstains.
    """
    m, hits = len(answers), sum(answer in right for answer in answers)
    if m > 0:
        shares[0] = hits / m
    if m > 1:
        shares[1] = hits / m + answers.count(None) * hits / (m * (m - 1))
    return shares


def _longest(waits: Floats) -> Floats:
    """Return the mean, over all sets of N = 1..m values, of the largest; shapes (m,).

    In order of size, it is the smallest and each step above it, times the chance that not all N
    are below the step.
    """
    m, ordered = len(waits), np.sort(waits)
    drawn, below = np.arange(m)[:, None], np.arange(1, m)
    all_below = np.cumprod(np.maximum(below - drawn, 0) / (m - drawn), axis=0)
    found: Floats = ordered[:1] + ((1.0 - all_below) * np.diff(ordered)).sum(1)
    return found


def _dollars(pool: Pool) -> Floats:
    """Return the dollars of the first N samples, as shares of what all of them cost."""
    worth = _worth(pool)
    if pool.usd is None:
        return np.full(len(worth), np.nan)
    return pool.usd * (worth / worth[-1] if worth.any() else np.ones(len(worth)))


def _worth(pool: Pool) -> Floats:
    """Return what N = 1..m samples cost at the model's price, but for its unit; shape (m,)."""
    prompts, own = pool.tokens
    price = pool.price or Price(input=1.0, output=1.0)
    less = 0.0 if price.cached_input is None else price.input - price.cached_input
    cached = np.cumsum(pool.cached or (0,) * len(own), dtype=float)
    worth: Floats = prompts * price.input - cached * less + own * price.output
    return worth


def _votes(answers: Sequence[str | None], right: str | Collection[str]) -> Floats:
    """Return 1 for each N at which the vote of the first N is right, else 0."""
    return vote_shares(answers, right, np.arange(len(answers))[None, :])
