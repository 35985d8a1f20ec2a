"""Notice at run time that problems are no longer like those a rule was calibrated on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from tts.stopping.calibration import Calibration
from tts.stopping.conformal import Rank, uniform
from tts.stopping.online import DriftMonitor

__all__ = ["DriftWatch"]


class DriftWatch:
    """Compares how many samples each problem takes with those before it, calibration first.

    While problems, model and prompt stay as they were, the smoothed p-values are independent and
    uniform, and the watch ever raises its flag with chance at most delta. It sees what shows in
    the number of samples, nothing else, and no answers are needed for it.

    Args:
        calibration: What the rule was calibrated on.
        seed: Seed of the p-values' smoothing.
        delta: Chance of a false alarm, ever.
    """

    def __init__(self, calibration: Calibration, *, seed: int = 0, delta: float = 0.01) -> None:
        self.monitor = DriftMonitor(delta=delta)
        self._seed, self._seen = seed, sorted(calibration.used)

    def observe(self, samples: int) -> bool:
        """Take in a solved problem.

        Args:
            samples: Candidates that were drawn for it.

        Returns:
            True at the problem that raises the flag, once.
        """
        low, high = bisect_left(self._seen, samples), bisect_right(self._seen, samples)
        rank = Rank(above=len(self._seen) - high, equal=high - low, n=len(self._seen))
        before = self.monitor.alarm
        p = rank.smoothed(uniform(self._seed, "drift", self.monitor.seen))
        self.monitor = self.monitor.observe(p)
        insort(self._seen, samples)
        return self.monitor.alarm is not None and before is None
