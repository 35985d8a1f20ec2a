"""How sure a simulation is. Tests here are seeded: they pass or fail the same way each time.

The rate stated is the chance with which another seed would fail a test whose claim is true.
"""

from __future__ import annotations

import math

from scipy import stats  # type: ignore[import-untyped]

FALSE_ALARM = 1e-6


def may_be_at_most(count: int, runs: int, level: float) -> bool:
    """False only if so large a count has chance below 1e-6 at this level."""
    return bool(stats.binom.sf(count - 1, runs, level) > FALSE_ALARM)


def is_surely_above(count: int, runs: int, level: float) -> bool:
    """True only if so large a count has chance below 1e-6 at this level."""
    return not may_be_at_most(count, runs, level)


def is_near(values: list[float], expected: float, deviation: float, *, z: float = 5.0) -> bool:
    """Whether the mean lies within z standard errors; another seed fails with chance 6e-7 at 5."""
    mean = math.fsum(values) / len(values)
    return abs(mean - expected) <= z * deviation / math.sqrt(len(values))
