"""How much more several samples say than one: measures of redundancy, and of what a vote loses."""

from __future__ import annotations

from collections.abc import Sequence

from tts.answers import canonical, equivalent
from tts.problem import Candidate
from tts.votes import Tally

__all__ = ["coverage_gap", "distinct_answers", "effective_samples"]


def distinct_answers(candidates: Sequence[Candidate]) -> float:
    """Return distinct answers / N, in [0, 1]; abstentions count in N. 0 without candidates."""
    return len(Tally.of(candidates).standings) / len(candidates) if candidates else 0.0


def effective_samples(candidates: Sequence[Candidate]) -> float:
    """Return N_eff = N / (1 + (N - 1) rho): how many independent samples they are worth.

    rho is the share of pairs that agree, above what D equally likely answers would agree by
    chance: (A - 1/D) / (1 - 1/D) for D distinct answers (Bennett's S), at least 0. All equal: 1;
    all distinct: N. Abstentions are left out.

    >>> from tts.testing import candidate
    >>> effective_samples([candidate(answer) for answer in ("7", "7", "8", "8")])
    4.0
    >>> effective_samples([candidate("7")] * 3)
    1.0
    """
    counts = [standing.count for standing in Tally.of(candidates).standings]
    n, distinct = sum(counts), len(counts)
    if n < 2:
        return float(n)
    agreeing = sum(count * (count - 1) for count in counts) / (n * (n - 1))
    rho = 1.0 if distinct == 1 else max(0.0, (agreeing * distinct - 1) / (distinct - 1))
    return n / (1 + (n - 1) * rho)


def coverage_gap(problems: Sequence[tuple[Sequence[Candidate], str]]) -> float:
    """Return pass@N - maj@N over labelled problems: what a better choice could still win.

    Args:
        problems: Each problem's candidates and its right answer.

    Returns:
        A difference of shares, in [0, 1]; 0 without problems.
    """
    found = chosen = 0
    for candidates, label in problems:
        tally = Tally.of(candidates)
        right = [standing for standing in tally.standings if _equal(standing.answer, label)]
        found += bool(right)
        chosen += bool(right) and right[0] is tally.leader
    return (found - chosen) / len(problems) if problems else 0.0


def _equal(answer: str, label: str) -> bool:
    return equivalent(canonical(answer), canonical(label))
