from __future__ import annotations

import contextlib
import json
import random
from functools import cache
from pathlib import Path

import pytest

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.calibration_curve import table
from tts.errors import ConfigError, NotCertifiable
from tts.stopping import Never, StoppingRule
from tts.stopping.base import Verdict
from tts.stopping.beta import Beta
from tts.stopping.calibration import Calibration, Recording, Target, calibrate
from tts.stopping.conformal_rule import Conformal
from tts.stopping.drift import DriftWatch
from tts.stopping.esc import ESC
from tts.stopping.replay import replay, replay_all
from tts.stopping.risk import certify
from tts.testing import candidate
from tts.votes import Tally

N = 16
SAME = Target(kind="disagreement", level=0.1)


def recording(rng: random.Random, truth: str | None = "1") -> Recording:
    """A problem whose answer has a share of its own, between a tie and certainty."""
    share = 0.5 + rng.betavariate(1.0, 1.0) / 2
    answers = ["1" if rng.random() < share else "2" for _ in range(N)]
    return Recording(tuple(candidate(a, ticket=at) for at, a in enumerate(answers)), truth)


def crowd(seed: object, n: int = 120) -> list[Recording]:
    rng = random.Random(str(seed))
    return [recording(rng) for _ in range(n)]


LADDER = Beta.ladder()[5:]


@cache
def usual() -> Calibration:
    return calibrate(LADDER, crowd(1), N, target=SAME, delta=0.1)


def test_the_certified_rule_that_saves_most_is_kept() -> None:
    found = usual()
    certified = [point for point in found.curve if point.certified]
    assert found.rule in [point.rule for point in certified]
    assert min(point.tokens for point in certified) == next(
        point.tokens for point in certified if point.rule == found.rule
    )
    assert len(certified) < len(found.curve) == len(LADDER)
    assert 0.2 < found.saved < 0.9
    assert (found.n, found.effective_n, found.samples) == (120, 120.0, N)


def test_kept_are_samples_and_tokens_of_what_the_rule_consumed() -> None:
    found, problems = usual(), crowd(1)
    runs = [replay(found.rule, one.candidates, N) for one in problems]
    assert found.used == tuple(run.samples for run in runs)
    assert found.lengths == tuple(2 * run.samples for run in runs)  # a fake's two words each


def rates_of_disagreement(rules: list[StoppingRule], problems: list[Recording]) -> list[float]:
    runs = [replay_all([*rules, Never()], one.candidates, N) for one in problems]
    return [
        sum(row[at].key != row[-1].key for row in runs) / len(problems) for at in range(len(rules))
    ]


@pytest.mark.long
def test_certified_rules_disagree_more_than_they_may_at_most_at_delta() -> None:
    # False alarm of this test: 1e-6. The level lies just below the true rate of the last rule.
    ladder: list[StoppingRule] = [ESC(window=window) for window in (6, 3, 2)]
    rates = rates_of_disagreement(ladder, crowd("truth", 1200))
    level, runs, wrong, bold = rates[2] - 0.005, 40, 0, 0
    assert rates[1] < level
    target = Target(kind="disagreement", level=level)
    for seed in range(runs):
        problems = crowd(seed, 60)
        with contextlib.suppress(NotCertifiable):
            found = calibrate(ladder, problems, N, target=target, delta=0.05)
            wrong += rates[ladder.index(found.rule)] > level
        # Control: trusting the rate that is seen on the calibration problems.
        bold += rates_of_disagreement(ladder[2:], problems)[0] <= level
    assert may_be_at_most(wrong, runs, 0.05)
    assert is_surely_above(bold, runs, 0.05)


def test_errors_are_counted_against_the_given_answers() -> None:
    target = Target(kind="error", level=0.2)
    found = calibrate(LADDER, crowd(2), N, target=target, delta=0.1)
    assert "right answer" in found.guarantee
    wrong = [Recording(one.candidates, "3") for one in crowd(2)]
    with pytest.raises(NotCertifiable, match="failed on 120 of 120"):
        calibrate(LADDER, wrong, N, target=target, delta=0.1)
    with pytest.raises(ConfigError, match="right answer of every problem"):
        calibrate(LADDER, [recording(random.Random(1), None)], N, target=target, delta=0.1)


def test_equal_answers_are_no_disagreement_however_written() -> None:
    drawn = tuple(candidate("7.0" if at % 2 else "7", ticket=at) for at in range(N))
    problems = [Recording(drawn, "$7$")] * 60
    for kind in ("error", "disagreement"):
        target = Target.model_validate({"kind": kind, "level": 0.1})
        found = calibrate([Beta()], problems, N, target=target, delta=0.1)
        assert found.curve[0].failures == 0


def silent(n: int) -> list[Recording]:
    """Problems without an answer in any sample."""
    drawn = tuple(candidate(None, ticket=at) for at in range(N))
    return [Recording(drawn, "1")] * n


def test_problems_without_an_answer_are_no_agreement() -> None:
    alone = usual()
    mixed = calibrate(LADDER, crowd(1) + silent(80), N, target=SAME, delta=0.1)
    assert (mixed.n, mixed.effective_n, mixed.unanswered) == (120, 120.0, 80)
    assert (mixed.abstentions, mixed.drawn) == (80 * N, 200 * N)
    assert (alone.unanswered, alone.abstentions, alone.drawn) == (0, 0, 120 * N)
    told = [
        [(one.failures, one.bound, one.certified) for one in each.curve] for each in (alone, mixed)
    ]
    assert told[0] == told[1]
    assert len(mixed.used) == 200  # later problems have their share of them, too
    assert mixed.saved < alone.saved


def test_the_table_says_how_many_have_no_answer() -> None:
    found = calibrate(LADDER, crowd(1) + silent(80), N, target=SAME, delta=0.1)
    assert "80 more have no answer in any sample: nothing to agree with" in table(found)
    assert "1280 of 3200 samples abstain" in table(found)
    assert "no answer" not in table(usual())
    assert "abstain" not in table(usual())


def test_for_errors_a_problem_without_an_answer_is_a_failure() -> None:
    target = Target(kind="error", level=0.4)
    found = calibrate(LADDER, crowd(2) + silent(20), N, target=target, delta=0.1)
    alone = calibrate(LADDER, crowd(2), N, target=target, delta=0.1)
    assert (found.n, found.unanswered) == (140, 20)
    more = [
        one.failures - other.failures for one, other in zip(found.curve, alone.curve, strict=True)
    ]
    assert set(more) == {20}
    assert "20 of these have no answer in any sample: they count as failed" in table(found)


class First(StoppingRule, name="first_sample"):
    """Stops at the first sample, whatever it says."""

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        return self.stop("one is enough")

    def earliest(self, tally: Tally, remaining: int) -> int:
        return 1


def test_a_prefix_without_an_answer_disagrees_with_a_vote_that_has_one() -> None:
    late = tuple(candidate("1" if at == N - 1 else None, ticket=at) for at in range(N))
    with pytest.raises(NotCertifiable, match="failed on 60 of 60"):
        calibrate([First()], [Recording(late)] * 60, N, target=SAME, delta=0.1)


def test_what_cannot_be_certified_says_what_did_not_count() -> None:
    with pytest.raises(ConfigError, match="no sample of these 9 problems has an answer"):
        calibrate(LADDER, silent(9), N, target=SAME, delta=0.1)
    with pytest.raises(NotCertifiable, match=r"^3 problems cannot .*\(9 more have no answer"):
        calibrate(LADDER, crowd(1, 3) + silent(9), N, target=SAME, delta=0.1)


@pytest.mark.long
def test_silent_problems_buy_no_false_certificate() -> None:
    # False alarm of this test: 1e-6. The level lies just below the rule's rate where there are
    # answers; four silent problems for each of them would make it look five times as rare.
    rule, runs, wrong, bold = ESC(window=2), 40, 0, 0
    level = rates_of_disagreement([rule], crowd("truth", 1200))[0] - 0.005
    target = Target(kind="disagreement", level=level)
    for seed in range(runs):
        problems = crowd(seed, 40) + silent(160)
        with contextlib.suppress(NotCertifiable):
            calibrate([rule], problems, N, target=target, delta=0.05)
            wrong += 1
        # Control: silence counted as agreement.
        pairs = [replay_all([rule, Never()], one.candidates, N) for one in problems]
        with contextlib.suppress(NotCertifiable):
            certify([[run.key != full.key for run, full in pairs]], level, 0.05)
            bold += 1
    assert may_be_at_most(wrong, runs, 0.05)
    assert is_surely_above(bold, runs, 0.05)


def test_nothing_to_calibrate_is_refused() -> None:
    with pytest.raises(ConfigError, match="no settings"):
        calibrate(Never.ladder(), crowd(1, 3), N, target=SAME, delta=0.1)
    with pytest.raises(ConfigError, match="no problems"):
        calibrate(LADDER, [], N, target=SAME, delta=0.1)


@pytest.mark.parametrize(
    "text", ["", "error", "error<=", "error<=2", "error<=0", "error<=1e", "accuracy<=0.1"]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no target"):
        Target.parse(text)


def test_a_target_reads_as_it_is_written() -> None:
    assert str(Target.parse(" error <= 5e-2 ")) == "error<=0.05"


def test_a_calibration_file_comes_back_equal(tmp_path: Path) -> None:
    found = usual()
    path = tmp_path / "rule.json"
    path.write_text(found.dump())
    assert Calibration.load(path) == found
    rule = StoppingRule.parse({"use": "conformal", "calibration": str(path)})
    assert rule == Conformal(calibration=found)
    assert hash(rule) == hash(Conformal(calibration=found))


@pytest.mark.parametrize("text", ["", "{}", '{"version": 1}', "[]"])
def test_what_is_no_calibration_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rule.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="make it anew"):
        Calibration.load(path)
    with pytest.raises(ValueError, match=r"rule\.json"):
        StoppingRule.parse({"use": "conformal", "calibration": str(path)})
    with pytest.raises(ConfigError, match="cannot read"):
        Calibration.load(tmp_path / "nowhere.json")


def calibrated(**settings: object) -> Conformal:
    found = usual()
    return Conformal.model_validate({"calibration": json.loads(found.dump()), **settings})


def test_a_calibrated_rule_stops_as_its_inner_one_and_says_what_is_certified() -> None:
    rule = calibrated()
    inner, tally = rule.calibration.rule, Tally()
    for ticket in range(N - 1):
        tally.add(candidate("1", ticket=ticket))
        stopped = rule.verdict(tally, N - 1 - ticket).stopped_by
        ours = inner.verdict(tally, N - 1 - ticket).stopped_by
        assert (stopped is None) == (ours is None)
        assert rule.earliest(tally, 3) == inner.earliest(tally, 3)
    assert stopped is not None
    assert stopped.reason.startswith("beta: ")
    assert stopped.guarantee == (
        "same answer as the full vote, where that has one (full: 16 samples); controls: "
        "disagreement, <= 0.1 with chance 0.9 over calibration sets; unit: question, n = 120, "
        "effective n = 120"
    )
    assert rule.needs == inner.needs


def test_a_calibration_for_something_else_guarantees_nothing() -> None:
    tally = Tally.of(candidate("1", ticket=ticket) for ticket in range(15))
    stopped = calibrated(allow_mismatch=True).verdict(tally, 1).stopped_by
    assert stopped is not None
    assert stopped.guarantee is None


def warnings_of(rule: StoppingRule, problems: list[Recording], seed: int) -> list[int]:
    """The problems at which the watch warns."""
    watch = rule.watch(seed)
    assert watch is not None
    runs = [replay(rule, one.candidates, N) for one in problems]
    return [at for at, run in enumerate(runs) if watch(run.samples, run.tokens)]


def easy(seed: int) -> list[Recording]:
    return [
        Recording(tuple(candidate("1", ticket=at) for at in range(N))) for _ in range(60 + seed)
    ]


def test_problems_that_have_changed_are_noticed_once() -> None:
    assert Beta().watch(0) is None
    found = [warnings_of(calibrated(), easy(seed), seed) for seed in range(2)]
    assert all(len(places) == 1 for places in found)


def test_longer_answers_are_noticed_where_every_problem_takes_one_sample() -> None:
    found = calibrated_on((1,) * 60, lengths=tuple(range(30, 90)))
    alike, longer, unknown = (DriftWatch(found) for _ in range(3))
    assert not any(alike.observe(1, 30 + 7 * at % 60) for at in range(60))
    assert any(longer.observe(1, 90 + at) for at in range(60))
    assert not any(unknown.observe(1) for _ in range(60))


def test_problems_that_have_not_changed_raise_false_alarms_at_most_at_delta() -> None:
    # False alarm of this test: 1e-6.
    rng, alarms, runs = random.Random(3), 0, 150
    for run in range(runs):
        used = [min(16, 4 + int(rng.expovariate(0.3))) for _ in range(120)]
        lengths = [samples * 20 + rng.randrange(30) for samples in used]
        found = calibrated_on(tuple(used[:60]), lengths=tuple(lengths[:60]))
        watch = DriftWatch(found, seed=run, delta=0.05)
        pairs = zip(used[60:], lengths[60:], strict=True)
        alarms += any(watch.observe(samples, tokens) for samples, tokens in pairs)
    assert may_be_at_most(alarms, runs, 0.05)


def calibrated_on(used: tuple[int, ...], lengths: tuple[int, ...] = ()) -> Calibration:
    return Calibration(
        rule=Beta(),
        target=SAME,
        delta=0.1,
        n=len(used),
        effective_n=float(len(used)),
        samples=N,
        saved=0.0,
        curve=(),
        used=used,
        lengths=lengths,
    )
