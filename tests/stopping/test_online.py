from __future__ import annotations

import math
import random
from bisect import insort
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.errors import ConfigError
from tts.stopping.conformal import Scores, uniform
from tts.stopping.online import AdaptiveLevel, DriftMonitor, Experts, QuantileTracker

TARGETS = st.sampled_from([0.1, 0.4, 0.7])
SCORES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=200)


def is_miss(level: float, score: float) -> bool:
    """Scores are uniform on [0, 1]: the quantile at level a is 1 - a."""
    return level >= 1.0 or (level > 0.0 and score > 1.0 - level)


@given(SCORES, TARGETS, st.sampled_from([0.005, 0.1, 0.5]), st.integers(0, 5))
def test_no_sequence_moves_the_rate_beyond_the_bound(
    scores: list[float], target: float, step: float, delay: int
) -> None:
    # Deterministic: holds for every sequence, delayed feedback included.
    level, waiting = AdaptiveLevel(target=target, step=step), deque[bool]()
    for score in scores:
        waiting.append(is_miss(level.level, score))
        if len(waiting) > delay:
            level = level.observe(waiting.popleft())
    if level.seen:
        assert abs(level.misses / level.seen - target) <= level.bound(delay) + 1e-12


@pytest.mark.parametrize("kind", ["zeros", "ones", "alternating", "drifting", "against"])
def test_adversaries_do_not_move_the_rate_beyond_the_bound(kind: str) -> None:
    level = AdaptiveLevel(target=0.2, step=0.05)
    for t in range(2000):
        scores = {
            "zeros": 0.0,
            "ones": 1.0,
            "alternating": float(t % 2),
            "drifting": t / 2000,
            "against": 0.0 if level.level > 0.2 else 1.0,
        }
        level = level.observe(is_miss(level.level, scores[kind]))
    assert abs(level.misses / level.seen - 0.2) <= level.bound() < 0.01


def test_control_a_static_level_misses_the_rate_on_drift() -> None:
    misses = sum(is_miss(0.2, 0.5 + t / 4000) for t in range(2000))
    assert abs(misses / 2000 - 0.2) > AdaptiveLevel(target=0.2, step=0.05, seen=2000).bound()


def test_no_feedback_changes_nothing() -> None:
    level, tracker = AdaptiveLevel(target=0.1), QuantileTracker(target=0.1, step=1.0)
    experts, monitor = Experts(target=0.1), DriftMonitor()
    assert level.observe(None) is level
    assert tracker.observe(None) is tracker
    assert tracker.observe(math.nan) is tracker
    assert experts.observe(None) is experts
    assert monitor.observe(None) is monitor
    assert level.bound() == tracker.bound(1.0) == math.inf


@given(SCORES, TARGETS, st.sampled_from([0.05, 0.5]), st.sampled_from([0.0, 0.6]))
def test_no_scores_move_the_trackers_rate_beyond_the_bound(
    scores: list[float], target: float, step: float, decay: float
) -> None:
    tracker = QuantileTracker(target=target, step=step, decay=decay, threshold=0.5)
    for score in scores:
        tracker = tracker.observe(score)
    assert abs(tracker.misses / tracker.seen - target) <= tracker.bound(1.0) + 1e-12


def test_shrinking_steps_settle_at_the_quantile() -> None:
    rng = random.Random(1)
    tracker = QuantileTracker(target=0.1, step=1.0, decay=0.6)
    for _ in range(8000):
        tracker = tracker.observe(rng.gauss(0.0, 1.0))
    assert tracker.threshold == pytest.approx(1.2816, abs=0.1)
    assert tracker.misses / tracker.seen == pytest.approx(0.1, abs=0.01)


def slow_experts(target: float, betas: list[float]) -> tuple[list[float], list[float]]:
    """The published recursion, written out once more."""
    steps = [0.001 * 2**j for j in range(8)]
    levels, weights = [target] * 8, [1.0 / 8] * 8
    for beta in betas:
        for i in range(8):
            gap = beta - levels[i]
            weights[i] *= math.exp(-2.72 * (target * gap if gap >= 0 else (target - 1) * gap))
        total = sum(weights)
        weights = [0.999 * w / total + 0.001 / 8 for w in weights]
        levels = [
            a + step * (target - (1 if a > beta else 0))
            for a, step in zip(levels, steps, strict=True)
        ]
    return levels, weights


@given(st.lists(st.floats(0.0, 1.0), max_size=40), TARGETS)
def test_experts_follow_the_recursion(betas: list[float], target: float) -> None:
    experts = Experts(target=target)
    for beta in betas:
        experts = experts.observe(beta)
    levels, weights = slow_experts(target, betas)
    assert experts.level == pytest.approx(sum(map(math.prod, zip(levels, weights, strict=True))))
    assert sum(experts.weights or (1.0,)) == pytest.approx(1.0)


def test_experts_trust_the_fast_one_after_a_jump() -> None:
    experts = Experts(target=0.1)
    for _ in range(400):
        experts = experts.observe(0.6)
    assert max(range(8), key=lambda at: experts.weights[at]) >= 6


def alarms(shift: float, *, power: int = 1, runs: int = 200, seed: int = 2) -> int:
    """Runs whose monitor raised a flag within 100 scores, the last 60 of them shifted."""
    raised = 0
    for run in range(runs):
        rng = random.Random(f"{seed}/{run}")
        seen, monitor = list[float](), DriftMonitor(delta=0.05)
        for t in range(100):
            score = rng.gauss(shift if t >= 40 else 0.0, 1.0)
            p = Scores(seen).rank(score).smoothed(uniform(seed, run, t))
            monitor = monitor.observe(p**power)
            insort(seen, score)
            if monitor.alarm:
                break
        raised += monitor.alarm is not None
    return raised


@pytest.mark.long
def test_monitor_raises_false_alarms_at_most_at_delta() -> None:
    # False alarm of this test: 1e-6.
    assert may_be_at_most(alarms(0.0), 200, 0.05)


def test_monitor_notices_a_shift_of_two_deviations() -> None:
    assert alarms(2.0, runs=40) >= 36


def test_control_p_values_that_are_not_uniform_set_it_off() -> None:
    assert is_surely_above(alarms(0.0, power=3, runs=60), 60, 0.05)


def test_monitor_remembers_its_first_alarm() -> None:
    monitor, capital, first = DriftMonitor(delta=0.5), {-1: 1 / 3, 0: 1 / 3, 1: 1 / 3}, None
    for t, p in enumerate([0.01] * 10 + [0.99] * 40, 1):
        even = 0.01 * sum(capital.values()) / 3
        capital = {e: (0.99 * own + even) * (1 + e * (p - 0.5)) for e, own in capital.items()}
        first = t if first is None and sum(capital.values()) >= 2 else first
        monitor = monitor.observe(p)
    assert math.exp(monitor.log_capital) == pytest.approx(sum(capital.values()))
    assert (monitor.alarm, monitor.seen) == (first, 50)
    assert first is not None


@pytest.mark.parametrize("state", [AdaptiveLevel, Experts, DriftMonitor, QuantileTracker])
def test_states_survive_json(state: type) -> None:
    settings = {"target": 0.3} if state is not DriftMonitor else {}
    settings |= {"step": 0.1} if state is QuantileTracker else {}
    value = state.model_validate(settings)  # type: ignore[attr-defined]
    for each in (0.3, 0.9, 0.1):
        value = value.observe(each > 0.5 if state is AdaptiveLevel else each)
    assert state.model_validate_json(value.model_dump_json()) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(wrong: float) -> None:
    with pytest.raises(ConfigError):
        Experts(target=0.1).observe(wrong)
    with pytest.raises(ConfigError):
        DriftMonitor().observe(wrong)
