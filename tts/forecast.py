"""From samples that were drawn to a plan: the measured curve, a fit, and where it flattens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tts.answers import canonical
from tts.errors import ConfigError
from tts.pipeline import read_text
from tts.resampling import coverage_curve, interval, vote_curve
from tts.saturation import FITS, Curve

__all__ = ["Estimate", "Plan", "Sampled", "make_plan", "read_results"]

RESAMPLES: Final = 400
_MISS: Final = 0.025

Floats = NDArray[np.float64]
Metric = Literal["coverage", "vote"]
Mode = Literal["single", "beta", "two_state"]


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was drawn for one problem."""

    correct: tuple[bool, ...]
    """Whether each sample is right; of a strategy with rounds, whether it is right after each."""
    answers: tuple[str | None, ...] = ()
    """Canonical answers, where they are known; None abstains."""
    right: str = ""
    """The right one, canonical."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% bootstrap interval over problems."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Where more samples stop paying."""

    problems: int
    samples: int
    """The fewest that any problem has; no curve is measured beyond."""
    metric: str
    mode: str
    epsilon: float
    sizes: tuple[int, ...]
    measured: tuple[float, ...]
    fitted: tuple[float, ...]
    parameters: dict[str, Estimate]
    enough: Estimate
    """N*: the least number of samples from which one more brings at most epsilon."""
    warnings: tuple[str, ...]


def read_results(path: Path) -> list[Sampled]:
    """Read a file of results, JSON lines.

    A line is an object with `correct`, a list of true and false, or with `answers`, a list of
    texts and nulls, and `right`, the right answer. Other keys are left alone.

    Raises:
        ConfigError: With file and line, if it cannot be read.
    """
    found = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            try:
                found.append(_sampled(json.loads(line)))
            except (json.JSONDecodeError, ConfigError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise ConfigError(reason, path=str(path), line=number) from error
    if not found:
        raise ConfigError("no problem in the file", path=str(path))
    return found


def _sampled(row: object) -> Sampled:
    row = row if isinstance(row, Mapping) else {}
    answers, right, correct = row.get("answers"), row.get("right"), row.get("correct")
    if isinstance(answers, list) and answers and isinstance(right, str | int | float):
        if not all(each is None or isinstance(each, str) for each in answers):
            raise ConfigError("answers are texts or nulls")
        keys = tuple(None if each is None else canonical(each) for each in answers)
        key = canonical(str(right))
        return Sampled(tuple(each == key for each in keys), keys, key)
    if isinstance(correct, list) and correct and all(each in (0, 1) for each in correct):
        return Sampled(tuple(bool(each) for each in correct))
    raise ConfigError(
        'a line needs "correct": [true, false, ...], or "answers": ["7", null] and "right": "7"'
    )


def make_plan(
    results: Sequence[Sampled],
    *,
    metric: Metric = "coverage",
    mode: Mode = "single",
    epsilon: float = 0.01,
    seed: int = 0,
) -> Plan:
    """Fit the curve of some results and say where it flattens.

    Args:
        results: A problem each, with at least two samples.
        metric: `coverage` (any sample is right) or `vote` (the plain vote is); with the mode
            `two_state` the samples are rounds, and the curve is what is right after each.
        mode: The model that is fitted, see `tts.saturation`.
        epsilon: The gain, as a share of problems, that one more sample must exceed to pay.
        seed: Of the resampling and of the votes' orders.

    Raises:
        ConfigError: If the results do not allow it.
    """
    if not 0.0 < epsilon < 1.0:
        raise ConfigError(f"epsilon is a share of problems between 0 and 1, got {epsilon:g}")
    if metric == "vote" and not all(each.answers for each in results):
        raise ConfigError("the vote's curve needs the answers of every problem, not only `correct`")
    least, rng = min(len(each.correct) for each in results), np.random.default_rng(seed)
    sizes = list(range(1, least + 1)) if mode == "two_state" else _sizes(least)
    rows = np.array([_row(each, sizes, metric, mode, rng) for each in results])
    measured = rows.mean(0)
    curve, parameters, enough = _fitted(rows, np.array(sizes, float), mode, epsilon, rng)
    return Plan(
        problems=len(results),
        samples=least,
        metric="rounds" if mode == "two_state" else metric,
        mode=mode,
        epsilon=epsilon,
        sizes=tuple(sizes),
        measured=tuple(measured.tolist()),
        fitted=tuple(curve.value(size) for size in sizes),
        parameters=parameters,
        enough=enough,
        warnings=(*_misfit(curve, sizes, measured), *_warnings(metric, mode, least, enough)),
    )


def _fitted(
    rows: Floats, sizes: Floats, mode: Mode, epsilon: float, rng: np.random.Generator
) -> tuple[Curve, dict[str, Estimate], Estimate]:
    """Fit the mean of problems' curves, and those of resampled problems for the intervals."""
    fit = FITS[mode]
    curve = fit(sizes, rows.mean(0))
    picks = rng.integers(len(rows), size=(RESAMPLES, len(rows)))
    again = [fit(sizes, rows[pick].mean(0)) for pick in picks]
    settings = [each.settings() for each in again]
    parameters = {
        name: Estimate(value, *interval([each[name] for each in settings]))
        for name, value in curve.settings().items()
    }
    stops = [float(each.enough(epsilon)) for each in again]
    return curve, parameters, Estimate(float(curve.enough(epsilon)), *interval(stops))


def _sizes(least: int) -> list[int]:
    powers = [1 << exponent for exponent in range(least.bit_length()) if 1 << exponent < least]
    return [*powers, least]


def _row(
    sampled: Sampled, sizes: list[int], metric: Metric, mode: Mode, rng: np.random.Generator
) -> list[float]:
    if mode == "two_state":
        return [float(each) for each in sampled.correct[: len(sizes)]]
    if metric == "vote":
        shares, _ = vote_curve(sampled.answers, sampled.right, rng)
        return [float(shares[size - 1]) for size in sizes]
    return coverage_curve(sampled.correct, sizes)


def _misfit(curve: Curve, sizes: list[int], measured: Floats) -> list[str]:
    misses = [abs(curve.value(size) - at) for size, at in zip(sizes, measured, strict=True)]
    worst = int(np.argmax(misses))
    if misses[worst] <= _MISS:
        return []
    return [f"the fit misses what was measured at {sizes[worst]} by {misses[worst]:.2f}"]


def _warnings(metric: Metric, mode: Mode, least: int, enough: Estimate) -> list[str]:
    found = []
    if enough.high > least:
        found.append(f"beyond {least} samples the curve is extrapolated, not measured")
    if mode == "single":
        found.append("one rate for all problems flattens too early where they differ: try beta")
    if metric == "vote" and mode != "two_state":
        found.append("a vote's curve can fall as samples are added, which no fit here shows")
    return found
