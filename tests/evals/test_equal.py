from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends import Price
from tts.evals.equal import at_equal_cost, compare, matched
from tts.evals.pools import Pool, curves
from tts.evals.statistics import bootstrap, mcnemar

POOLS = st.lists(
    st.tuples(st.sampled_from(["1", "2", None]), st.integers(1, 99)), min_size=4, max_size=4
)


def pool(drawn: list[tuple[str | None, int]]) -> Pool:
    return Pool(tuple(answer for answer, _ in drawn), "1", tuple(cost for _, cost in drawn))


@given(st.lists(POOLS, min_size=1, max_size=4))
def test_curves_have_the_ends_that_they_must(drawn: list[list[tuple[str | None, int]]]) -> None:
    found = curves([pool(each) for each in drawn])
    for at, each in enumerate(drawn):
        costs = [cost for _, cost in each]
        assert found.total[at, -1] == pytest.approx(sum(costs))
        assert found.critical[at, -1] == max(costs)
        assert found.critical[at, 0] == pytest.approx(np.mean(costs))
        assert (np.diff(found.critical[at]) >= 0).all()


@given(st.lists(st.integers(0, 99), min_size=1, max_size=7), st.data())
def test_the_longest_of_few_samples_is_that_of_all_sets_of_them(
    costs: list[int], data: st.DataObject
) -> None:
    delays = data.draw(st.tuples(*(st.integers(0, 20) for _ in costs)))
    m, waits = len(costs), [sum(each) for each in zip(costs, delays, strict=True)]
    found = curves([Pool(("1",) * m, "1", tuple(costs), delays=delays)]).critical[0]
    for n in range(1, m + 1):
        sets = itertools.combinations(waits, n)
        assert found[n - 1] == pytest.approx(np.mean([max(each) for each in sets]))


def test_a_strategy_that_waits_as_one_sample_does_costs_one_sample() -> None:
    """Of costs spread as widely as an exponential distribution few orders know no mean."""
    rng = np.random.default_rng(1)
    drawn = [tuple(map(int, rng.exponential(500.0, 32) + 10)) for _ in range(40)]
    found = curves([Pool(("1",) * 32, "1", costs) for costs in drawn])
    match = matched(found.critical.mean(0), float(np.mean(drawn)))
    assert (match.samples, match.note) == (1.0, "")
    assert match.off == pytest.approx(0.0, abs=1e-9)


def test_without_samples_curves_are_empty() -> None:
    assert curves([]).accuracy.shape == (0, 0)
    for name in ("accuracy", "total", "critical", "usd", "votes", "at_best"):
        assert getattr(curves([Pool((), "1", ())] * 2), name).shape == (2, 0)
    assert curves([Pool((), "1", (), unjudged={"2"})]).at_best.shape == (1, 0)


@given(st.lists(st.floats(1.0, 50.0), min_size=2, max_size=9), st.floats(0.5, 600.0))
def test_a_match_costs_the_same(steps: list[float], target: float) -> None:
    costs = np.cumsum(steps)
    match = matched(costs, target)
    if match.note == "dearer":
        assert target < costs[0] * 0.995
        assert target == pytest.approx(costs[0] * (1 + match.off))
    elif match.note == "capped":
        assert target > costs[-1] * 1.005
        assert target == pytest.approx(costs[-1] * (1 + match.off))
    elif match.off:
        assert abs(match.off) <= 0.005
        assert match.samples in {1, len(costs)}
    else:
        above = min(match.low, len(costs) - 1)
        cost = (1 - match.weight) * costs[match.low - 1] + match.weight * costs[above]
        assert cost == pytest.approx(target)
        assert match.samples == pytest.approx(match.low + match.weight)


@pytest.mark.parametrize(
    ("target", "samples", "note", "off"),
    [
        (99.6, 1, "", -0.004),
        (99.4, 1, "dearer", -0.006),
        (100.0, 1, "", 0.0),
        (200.0, 2, "", 0.0),
        (200.0 * (1 + 1e-12), 2, "", 0.0),
        (200.8, 2, "", 0.004),
        (201.2, 2, "capped", 0.006),
        (400.0, 2, "capped", 1.0),
    ],
)
def test_costs_are_equal_up_to_half_a_percent(
    target: float, samples: int, note: str, off: float
) -> None:
    match = matched(np.array([100.0, 200.0]), target)
    assert (match.samples, match.note) == (samples, note)
    assert match.off == pytest.approx(off)


def test_between_two_sizes_the_baseline_is_interpolated() -> None:
    accuracy = np.array([[0.0, 1.0], [0.5, 0.5]])
    costs = np.array([[10.0, 20.0], [10.0, 20.0]])
    found = compare(np.array([1.0, 1.0]), np.array([12.5, 12.5]), accuracy, costs)
    assert (found.match.samples, found.baseline.mean) == (1.25, 0.375)
    assert found.gain.mean == pytest.approx(1.0 - 0.375)
    assert found.gain.low <= found.gain.mean <= found.gain.high


def test_a_prompt_that_a_request_shares_is_charged_once_and_waited_for_by_all() -> None:
    price = Price(input=1.0, output=4.0)
    shared = Pool(("1",) * 5, "1", (10,) * 5, 700e-6, (100, 0, 0, 0, 100), price)
    found = curves([shared])
    assert found.total[0].tolist() == [110, 120, 130, 140, 250]
    assert found.critical[0].tolist() == [110] * 5
    assert found.usd[0] * 1e6 == pytest.approx(np.array([140, 180, 220, 260, 400]) * 700 / 400)
    alone = Pool(("1",) * 5, "1", (10,) * 5, None, (100,) * 5)
    assert curves([alone]).total[0].tolist() == [110, 220, 330, 440, 550]
    for cost, samples in ((110, 1), (140, 4), (250, 5)):
        assert matched(found.total[0], cost).samples == samples


def test_what_was_paid_beside_the_samples_is_borne_by_all_of_them_alike() -> None:
    price = Price(input=1.0, output=4.0)
    paid = Pool(("1",) * 4, "1", (10,) * 4, 1000e-6, (100, 0, 100, 0), price, (40, 20))
    found = curves([paid])
    assert found.total[0].tolist() == [125, 150, 275, 300]
    assert found.total[0, -1] == 2 * 100 + 4 * 10 + 60
    assert found.critical[0].tolist() == [110] * 4  # of the draws: others did not wait
    assert found.usd[0] * 1e6 == pytest.approx(
        np.array([170, 240, 410, 480]) / 480 * 1000
    )  # worth: prompts + 4 x completions, beside included


def test_failed_attempts_are_waited_for_by_the_samples_that_they_came_before() -> None:
    late = Pool(("1",) * 3, "1", (10,) * 3, None, (20,) * 3, delays=(0, 50, 0))
    found = curves([late])
    assert found.critical[0, -1] == 80
    assert found.critical[0] == pytest.approx([(30 + 80 + 30) / 3, (80 + 80 + 30) / 3, 80])
    in_time = curves([Pool(("1",) * 3, "1", (10,) * 3, None, (20,) * 3)])
    assert in_time.critical[0].tolist() == [30] * 3


def test_a_vote_of_few_samples_gets_the_prefix_cache_that_it_would_have_had() -> None:
    """The first prompt is paid in full by whoever draws one sample or all of them."""
    price = Price(input=1.0, output=4.0, cached_input=0.1)
    cached = (0, *(1900,) * 7)
    usd = sum(price.of(2000, 100, part) for part in cached)
    found = curves([Pool(("1",) * 8, "1", (100,) * 8, usd, (2000,) * 8, price, cached=cached)])
    paid = np.cumsum([price.of(2000, 100, part) for part in cached])
    assert found.usd[0] == pytest.approx(paid)


@given(POOLS, st.integers(1, 4))
def test_the_first_samples_of_a_pool_cost_their_part_of_it(
    drawn: list[tuple[str | None, int]], n: int
) -> None:
    costs = tuple(cost for _, cost in drawn)
    whole = Pool(
        tuple(answer for answer, _ in drawn), "1", costs, 1.0, (7, 0, 7, 0),
        Price(input=1.0, output=2.0), (4, 8), delays=(0, 4, 0, 0),
    )  # fmt: skip
    some, every = curves([whole.first(n)]), curves([whole])
    worth = (7, 7, 14, 14)[n - 1] + n + 2 * (sum(costs[:n]) + 2 * n)
    assert some.usd[0, -1] == pytest.approx(worth / (14 + 4 + 2 * (sum(costs) + 8)))
    assert some.votes[0].tolist() == every.votes[0, :n].tolist()
    assert some.total[0, -1] == sum(costs[:n]) + (7, 7, 14, 14)[n - 1] + 12 * n / 4


@given(POOLS)
def test_one_sample_and_two_are_counted_over_all_orders(
    drawn: list[tuple[str | None, int]],
) -> None:
    """Checked by all orders; so a vote of one sample is right as often as any of one is."""
    found = curves([pool(drawn)]).accuracy[0]
    hits = [answer == "1" for answer, _ in drawn]
    assert found[0] == pytest.approx(np.mean(hits))
    pairs = list(itertools.permutations((answer for answer, _ in drawn), 2))
    first = [one if one is not None else two for one, two in pairs]
    assert found[1] == pytest.approx(np.mean([answer == "1" for answer in first]))


def test_what_an_unjudged_answer_would_add_is_known_for_each() -> None:
    """Checked by judging: the votes of a pool whose answer is right are the sum."""
    rng = np.random.default_rng(3)
    answers = tuple(rng.choice(["1", "2", "3", "4"], 12).tolist())
    open_ = curves([Pool(answers, {"1"}, (1,) * 12, unjudged={"2", "3"})])
    for right in (set(), {"2"}, {"3"}, {"2", "3"}):
        known = curves([Pool(answers, {"1", *right}, (1,) * 12)])
        accuracy, votes = open_.if_right([right])
        assert accuracy[0] == pytest.approx(known.accuracy[0])
        assert votes.tolist() == known.votes.tolist()


@given(st.lists(st.floats(1e-9, 1e-3), min_size=2, max_size=40))
def test_costs_that_differ_by_the_order_of_a_sum_alone_are_equal(dollars: list[float]) -> None:
    pools = [Pool(("1",) * 7, "1", (3,) * 7, usd) for usd in dollars]
    match = matched(curves(pools).usd.mean(0), sum(reversed(dollars)) / len(dollars))
    assert (match.samples, match.note) == (7.0, "")


def test_problems_are_dealt_to_both_sizes_by_weight() -> None:
    match, keys = matched(np.array([10.0, 20.0, 30.0]), 24.5), [str(n) for n in range(200)]
    sizes = match.dealt(np.tile([1.0, 2.0, 3.0], (200, 1)), keys)
    assert sorted(set(sizes)) == [2.0, 3.0]
    assert sizes.mean() == pytest.approx(match.samples)
    capped = matched(np.array([10.0, 20.0]), 99.0)
    assert (capped.dealt(np.tile([1.0, 2.0], (5, 1)), keys[:5]) == 2.0).all()


def test_mcnemar_keeps_its_level_between_two_sizes() -> None:
    """200 votes of 2.45 of the shared samples; the bound fails by chance 1 time in 10,000.

    Negative control: the vote of round(2.45) samples costs less, and looks worse than it is.
    """
    rng, problems, runs = np.random.default_rng(0), 2000, 200
    match, keys = matched(np.array([10.0, 20.0, 30.0]), 24.5), [str(n) for n in range(problems)]
    chances = rng.beta(9.0, 4.0, problems)

    alarms = {"dealt": 0, "rounded": 0}
    for _ in range(runs):
        drawn = rng.random((problems, 3)) < chances[:, None]
        one, most = drawn[:, 0], drawn.sum(1) >= 2  # of two the first decides, as of one
        pool = np.stack([one, one, most], axis=1).astype(float)
        mine = np.where(rng.random(problems) < match.weight, pool[:, 2], pool[:, 1])
        for name, theirs in (("dealt", match.dealt(pool, keys)), ("rounded", pool[:, 1])):
            better, worse = int((mine > theirs).sum()), int((mine < theirs).sum())
            alarms[name] += mcnemar(better, worse) < 0.05
    assert alarms["dealt"] <= 23  # 10 are expected at most
    assert alarms["rounded"] > 60


@pytest.mark.long
def test_a_strategy_that_is_the_baseline_gains_nothing() -> None:
    """100 times 200 problems: 95% of the intervals should hold 0, and fewer than 86 would by chance
    1 time in 7,000.

    Negative controls: intervals half as wide hold it too seldom; and one sample at the cost of
    eight is found to lose.
    """
    rng, runs = np.random.default_rng(0), 100
    pools = [
        Pool(tuple(rng.choice(["1", "2"], 16, p=[0.6, 0.4]).tolist()), "1", (10,) * 16)
        for _ in range(200)
    ]
    found, spent = curves(pools), np.full(200, 80.0)
    held = {"whole": 0, "half as wide": 0}
    for _ in range(runs):
        right = (rng.random(200) < found.accuracy[:, 7]).astype(float)
        gain = compare(right, spent, found.accuracy, found.total).gain
        middle, quarter = (gain.low + gain.high) / 2, (gain.high - gain.low) / 4
        held["whole"] += gain.low <= 0.0 <= gain.high
        held["half as wide"] += middle - quarter <= 0.0 <= middle + quarter
    assert held["whole"] >= 86
    assert held["half as wide"] < 86
    single = (rng.random(200) < found.accuracy[:, 0]).astype(float)
    assert compare(single, spent, found.accuracy, found.total).gain.high < 0.0


@given(
    st.integers(1, 6).flatmap(
        lambda m: st.lists(
            st.tuples(
                st.lists(st.floats(1.0, 9.0), min_size=m, max_size=m),
                st.lists(st.floats(0.0, 1.0), min_size=m, max_size=m),
                st.floats(0.0, 60.0),
            ),
            min_size=1,
            max_size=5,
        )
    )
)
def test_resamples_are_matched_as_the_whole_is(
    drawn: list[tuple[list[float], list[float], float]],
) -> None:
    costs = np.cumsum([steps for steps, _, _ in drawn], axis=1)
    accuracy, spent = np.array([each for _, each, _ in drawn]), np.array([s for *_, s in drawn])
    whole = matched(costs.mean(0), float(spent.mean())).at(accuracy).sum()
    each = at_equal_cost(costs.sum(0)[None], np.array([spent.sum()]), accuracy.sum(0)[None])
    assert each[0] == pytest.approx(whole, abs=1e-9)


def test_where_all_cost_the_same_the_interval_is_that_of_the_gains() -> None:
    rng = np.random.default_rng(0)
    accuracy, right = np.sort(rng.random((30, 4)), axis=1), rng.integers(2, size=30).astype(float)
    costs = np.tile([1.0, 2.0, 3.0, 4.0], (30, 1))
    names = [str(place % 12) for place in range(30)]
    found = compare(right, np.full(30, 2.5), accuracy, costs, names)
    gains = right - found.match.at(accuracy)
    plain = bootstrap(gains, names, beside=(-1.0, 1.0))
    assert (found.gain.low, found.gain.high) == pytest.approx((plain.low, plain.high))


@pytest.mark.long
def test_the_noise_of_costs_is_in_the_interval() -> None:
    """Costs that vary from problem to problem, and a baseline that gets better with every sample.

    500 times 40 problems whose true gain is 0. 95% of the intervals should hold it; were it 93%,
    fewer than 90% would by chance 1 time in 200.
    Negative control: with the match taken for known, as few as 85% do.
    """
    rng, problems, runs = np.random.default_rng(0), 40, 500
    accuracy = np.tile(np.arange(1.0, 13.0) / 12, (problems, 1))
    costs = np.tile(np.arange(1.0, 13.0), (problems, 1))
    held = {"matched anew": 0, "taken for known": 0}
    for _ in range(runs):
        right = (rng.random(problems) < 0.5).astype(float)
        spent = rng.gamma(1.0, 6.0, problems)  # on average six samples, which half solve
        found = compare(right, spent, accuracy, costs)
        known = bootstrap(right - found.match.at(accuracy), beside=(-1.0, 1.0))
        for name, gain in (("matched anew", found.gain), ("taken for known", known)):
            held[name] += gain.low <= 0.0 <= gain.high
    assert held["matched anew"] >= 450
    assert held["taken for known"] < 445
