"""Sample until the set of answers probably holds a good one (Conformal Language Modeling)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from tts.errors import ConfigError, NotCertifiable
from tts.frozen import Frozen
from tts.stopping.risk import certify

__all__ = ["AnswerSet", "CertifiedSets", "SetRule", "certify_sets", "pareto"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """What was kept of the draws.

    Attributes:
        kept: Places of the kept draws, from 0.
        drawn: Draws made.
        complete: True if the set's score was reached; False if the draws ended first.
    """

    kept: tuple[int, ...]
    drawn: int
    complete: bool


class SetRule(Frozen):
    """Which draws enter the set, and when it is enough.

    Source: Quach et al. 2023, arXiv:2306.10193 (Conformal Language Modeling), algorithm 1, read in
    its code; most = 20 there.
    """

    quality: float = -math.inf
    """A draw of lower quality is left out."""
    similarity: float = math.inf
    """A draw that is more similar to one in the set is left out."""
    enough: float = math.inf
    """Score of the set at which to stop."""
    score: Literal["first", "max", "sum"] = "sum"
    """Score of a set: draws kept, best quality, or sum of qualities."""
    most: Annotated[int, Field(ge=1)] = 20
    """Draws at which to stop whatever the score."""

    def collect(
        self, draws: Iterable[tuple[_T, float]], similar: Callable[[_T, _T], float]
    ) -> AnswerSet:
        """Draw until the set is enough.

        Args:
            draws: Draws with their quality, in ticket order; no more are taken than needed.
            similar: Similarity of two draws.
        """
        kept: list[tuple[int, _T, float]] = []
        drawn = 0
        for answer, quality in draws:
            drawn += 1
            new = all(similar(answer, other) <= self.similarity for _, other, _ in kept)
            if quality >= self.quality and new:
                kept.append((drawn - 1, answer, quality))
            complete = bool(kept) and self._score([one[2] for one in kept]) >= self.enough
            if complete or drawn >= self.most:
                return AnswerSet(tuple(one[0] for one in kept), drawn, complete)
        return AnswerSet(tuple(one[0] for one in kept), drawn, complete=False)

    def _score(self, qualities: list[float]) -> float:
        if self.score == "first":
            return len(qualities)
        return max(qualities) if self.score == "max" else math.fsum(qualities)


@dataclass(frozen=True, slots=True)
class CertifiedSets:
    """A rule whose sets hold a good answer, and how sure that is.

    Attributes:
        rule: The certified rule of least cost.
        level: Share of problems whose set may hold no good answer.
        delta: Chance, over calibration sets, that the share is larger.
        n: Problems of the certificate; those that ordered the rules are not among them.
        cost: Mean of draws plus set size on these.
        floor: Share of problems where no draw at all was good: no rule can do better.
    """

    rule: SetRule
    level: float
    delta: float
    n: int
    cost: float
    floor: float

    @property
    def guarantee(self) -> str:
        """What is promised."""
        return (
            f"the set holds a good answer; controls: error <= {self.level:g} with chance "
            f"{1 - self.delta:g} over calibration sets; unit: question, n = {self.n}, "
            f"effective n = {self.n}"
        )


def pareto(risks: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Return the settings that no other beats in both, by risk: the least risk first.

    >>> pareto([0.0, 0.1, 0.2], [9.0, 9.0, 1.0])
    [0, 2]
    """
    order = sorted(range(len(risks)), key=lambda at: (risks[at], costs[at]))
    front: list[int] = []
    for at in order:
        if not front or costs[at] < costs[front[-1]]:
            front.append(at)
    return front


def certify_sets(
    rules: Sequence[SetRule],
    problems: Sequence[Sequence[tuple[_T, float, bool]]],
    similar: Callable[[_T, _T], float],
    *,
    level: float,
    delta: float,
    share: float = 0.3,
) -> CertifiedSets:
    """Return the cheapest rule that is certified to miss a good answer at most at `level`.

    The first `share` of the problems orders the rules along their front of risk and cost, the rest
    tests them in that order: P(risk <= level) >= 1 - delta.

    Args:
        rules: Candidates.
        problems: For each, all draws: answer, quality, whether it is good. In random order.
        similar: Similarity of two answers.
        level: Share of problems that may be missed, in (0, 1).
        delta: Chance of a false certificate, in (0, 1).
        share: Part of the problems that only orders the rules, in (0, 1).

    Raises:
        ConfigError: If there are no rules, or too few problems to part.
        NotCertifiable: If no rule is certified.

    Source: Quach et al. 2023, arXiv:2306.10193; Pareto testing, Laufer-Goldshtein et al. 2022,
    arXiv:2210.07913 (both theorems follow from `certify`).
    """
    first = round(share * len(problems))
    if not rules or not 0 < first < len(problems):
        raise ConfigError("certifying sets needs rules, and problems for both parts")
    tried = [[_outcome(rule, one, similar) for one in problems] for rule in rules]
    risks = [sum(missed for missed, _ in row[:first]) / first for row in tried]
    costs = [sum(cost for _, cost in row[:first]) / first for row in tried]
    order = pareto(risks, costs)
    floor = sum(not any(good for _, _, good in one) for one in problems) / len(problems)
    held_out = [[missed for missed, _ in tried[at][first:]] for at in order]
    try:
        certificate = certify(held_out, level, delta)
    except NotCertifiable as error:
        reason = f"{error.reason}; no draw at all was good on {floor:.3g} of the problems"
        raise NotCertifiable(reason, level=error.level, needed=error.needed) from error
    n = certificate.n
    price = {
        at: sum(cost for _, cost in tried[order[at]][first:]) / n for at in certificate.certified
    }
    best = min(price, key=lambda at: price[at])
    return CertifiedSets(rules[order[best]], level, delta, n, price[best], floor)


def _outcome(
    rule: SetRule, draws: Sequence[tuple[_T, float, bool]], similar: Callable[[_T, _T], float]
) -> tuple[bool, float]:
    """Whether the rule's set misses a good answer, and what it costs."""
    found = rule.collect(((answer, quality) for answer, quality, _ in draws), similar)
    missed = not any(draws[at][2] for at in found.kept)
    return missed, found.drawn + len(found.kept)
