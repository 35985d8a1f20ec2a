"""Notice at run time that problems are no longer like those a rule was calibrated on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from tts.stopping.calibration import Calibration
from tts.stopping.conformal import Rank, uniform
from tts.stopping.online import DriftMonitor

__all__ = ["DriftWatch"]


class DriftWatch:
    """Compares how many samples and tokens each problem takes with those before it.

    Calibration comes first. While problems, model and prompt stay as they were, the smoothed
    p-values of either are independent and uniform, and the watch ever raises its flag with chance
    at most delta, half of it for each. It sees what shows in these numbers, nothing else, and no
    answers are needed for it.

    Args:
        calibration: What the rule was calibrated on.
        seed: Seed of the p-values' smoothing.
        delta: Chance of a false alarm, ever.
    """

    def __init__(self, calibration: Calibration, *, seed: int = 0, delta: float = 0.01) -> None:
        columns = {"drift": calibration.used, "lengths": calibration.lengths}
        self._columns = [
            _Column(name, sorted(values), seed, delta / 2)
            for name, values in columns.items()
            if values
        ]
        self._rang = False

    def observe(self, samples: int, tokens: int | None = None) -> bool:
        """Take in a solved problem.

        Args:
            samples: Candidates that were drawn for it.
            tokens: Completion tokens of those candidates, None if not known. What failed, was
                repeated or was cancelled is left out: it depends on servers and speculation.

        Returns:
            True at the problem that raises the flag, once.
        """
        values = {"drift": samples, "lengths": tokens}
        rings = [column.observe(values[column.name]) for column in self._columns]
        before, self._rang = self._rang, self._rang or any(rings)
        return self._rang and not before


class _Column:
    """One number a problem."""

    def __init__(self, name: str, seen: list[int], seed: int, delta: float) -> None:
        self.name, self._seen, self._seed = name, seen, seed
        self._monitor = DriftMonitor(delta=delta)

    def observe(self, value: int | None) -> bool:
        if value is None:
            return False
        low, high = bisect_left(self._seen, value), bisect_right(self._seen, value)
        rank = Rank(above=len(self._seen) - high, equal=high - low, n=len(self._seen))
        p = rank.smoothed(uniform(self._seed, self.name, self._monitor.seen))
        self._monitor = self._monitor.observe(p)
        insort(self._seen, value)
        return self._monitor.alarm is not None
