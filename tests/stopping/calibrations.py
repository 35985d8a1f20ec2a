"""A calibration for tests that need one, whatever it says."""

from __future__ import annotations

from tts.stopping.beta import Beta
from tts.stopping.calibration import Calibration, Target

CALIBRATION = Calibration(
    rule=Beta(),
    target=Target(kind="disagreement", level=0.05),
    delta=0.1,
    n=100,
    effective_n=100.0,
    samples=40,
    saved=0.5,
    curve=(),
)
