"""The rules that watch a vote: when they stop, what they promise, and their `earliest`."""

from __future__ import annotations

import random
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stopping.chance import is_surely_above, may_be_at_most
from tts.errors import ConfigError
from tts.origins import Origin
from tts.problem import Candidate
from tts.stopping import Dominance, StoppingRule
from tts.stopping.any_of import AnyOf
from tts.stopping.beta import Beta
from tts.stopping.certaindex import Certaindex
from tts.stopping.deepconf import DeepConf
from tts.stopping.e_process import EProcess
from tts.stopping.esc import ESC
from tts.stopping.saturation import Saturation, marginal_gain, saturation_point
from tts.testing import candidate
from tts.votes import Plurality, Tally, Vote

Ballot = tuple[str | None, float]


class Scored(Vote, name="scored"):
    """Weighs a candidate by its score."""

    def weight(self, candidate: Candidate) -> float | None:
        return candidate.score


@cache
def ballot(answer: str | None, weight: float, ticket: int) -> Candidate:
    return candidate(answer, ticket=ticket).model_copy(update={"score": weight})


def tally_of(ballots: list[Ballot], vote: Vote) -> Tally:
    return Tally.of((ballot(*one, at) for at, one in enumerate(ballots)), vote)


def votes(text: str) -> Tally:
    """One letter an answer; a dot abstains."""
    return tally_of([(None if letter == "." else letter, 1.0) for letter in text], Plurality())


def stops(rule: StoppingRule, text: str, remaining: int = 30) -> bool:
    return rule.verdict(votes(text), remaining).stopped_by is not None


RULES: list[StoppingRule] = [
    Beta(confidence=0.8),
    Beta(confidence=0.9),
    ESC(window=1),
    ESC(window=2),
    ESC(window=3),
    EProcess(delta=0.6, target="first"),
    EProcess(delta=0.6, target="leader"),
    EProcess(delta=0.6),
    EProcess(delta=0.7, unanimous=0.0),
    Saturation(epsilon=0.02),
    Saturation(success=0.4, epsilon=0.1),
    Certaindex(certainty=0.5, minimum=2),
    Certaindex(certainty=1.0, minimum=3),
    AnyOf(rules=(ESC(window=3), Dominance(), EProcess(delta=0.6))),
]
BALLOTS = st.lists(
    st.tuples(st.sampled_from(["a", "a", "b", "c", None]), st.sampled_from([1.0, 0.5])), max_size=6
)


def brute_force_earliest(
    rule: StoppingRule, drawn: list[Ballot], vote: Vote, remaining: int
) -> int:
    seen = sorted({answer for answer, _ in drawn if answer})
    further: list[Ballot] = [(answer, 1.0) for answer in [*seen, "new"]]
    further += [(None, 1.0), *((answer, 0.5) for answer in seen[:1] if vote.name == "scored")]
    for k in range(1, remaining):
        for more in product(further, repeat=k):
            tally = tally_of(drawn + list(more), vote)
            if rule.verdict(tally, remaining - k).stopped_by is not None:
                return k
    return remaining


@pytest.mark.parametrize("rule", RULES, ids=repr)
@settings(max_examples=12)
@given(drawn=BALLOTS, vote=st.sampled_from([Plurality(), Scored()]), remaining=st.integers(1, 5))
def test_earliest_is_the_least_number_over_all_continuations(
    rule: StoppingRule, drawn: list[Ballot], vote: Vote, remaining: int
) -> None:
    tally = tally_of(drawn, vote)
    if rule.verdict(tally, remaining).stopped_by is None:
        found = rule.earliest(tally, remaining)
        assert found == brute_force_earliest(rule, drawn, vote, remaining)


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        (Beta(), 4),
        (ESC(), 5),
        (EProcess(), 7),
        (EProcess(unanimous=0.0), 9),
        (EProcess(target="leader", unanimous=0.0), 8),
        (EProcess(target="first", unanimous=0.0), 8),
        (EProcess(delta=0.1), 6),
        (Saturation(), 4),
        (Certaindex(), 4),
    ],
)
def test_the_first_draw_at_which_a_unanimous_vote_stops(rule: StoppingRule, first: int) -> None:
    assert rule.earliest(Tally(), 40) == first
    assert [stops(rule, "a" * n) for n in range(1, first + 1)] == [False] * (first - 1) + [True]


@pytest.mark.parametrize("rule", [Beta(), EProcess()])
@pytest.mark.parametrize("tickets", [[0, 0], [1, 0]])
def test_candidates_that_are_no_ordered_sample_are_refused(
    rule: StoppingRule, tickets: list[int]
) -> None:
    tally = Tally.of(candidate("a", ticket=ticket) for ticket in tickets)
    with pytest.raises(ConfigError, match="assume_iid: true"):
        rule.verdict(tally, 5)
    allowed = type(rule).model_validate({"assume_iid": True})
    assert allowed.verdict(tally, 5).stopped_by is None


def test_candidates_of_two_models_are_refused() -> None:
    other = candidate("a", ticket=1)
    other = other.model_copy(
        update={"completion": other.completion.model_copy(update={"model": "another"})}
    )
    with pytest.raises(ConfigError, match="several models"):
        EProcess().verdict(Tally.of([candidate("a"), other]), 5)


def test_a_gap_that_a_failed_call_left_is_no_reason_to_refuse() -> None:
    tally = Tally.of(candidate("a", ticket=ticket) for ticket in [0, 2, 3, 5])
    assert Beta().verdict(tally, 5).stopped_by is not None


def test_the_certificate_says_what_is_controlled_over_what() -> None:
    stopped = EProcess().verdict(votes("a" * 7), 33).stopped_by
    assert stopped is not None
    assert stopped.reason == "evidence 41.07 >= 40 for a"
    assert stopped.guarantee == (
        "the model's most frequent answer; controls: mode, error <= 0.05 at any number of draws; "
        "unit: sample, n = 7, effective n = 7"
    )


def test_any_of_stops_with_the_reason_and_guarantee_of_the_one_that_stops() -> None:
    rule = AnyOf(rules=(Beta(confidence=0.999), Dominance()))
    stopped = rule.verdict(votes("aaaa"), 3).stopped_by
    assert stopped is not None
    assert (stopped.rule, stopped.reason) == ("any_of", "dominance: lead 4 > 3 left")
    assert stopped.guarantee == "same answer as the full vote over 7 samples"
    assert rule.needs_iid
    assert not AnyOf(rules=(Dominance(), ESC())).needs_iid
    assert AnyOf(rules=(DeepConf(), ESC())).needs == {"top_logprobs"}
    assert rule.objection(Origin) is None


def test_a_weighted_certificate_speaks_of_weight() -> None:
    tally = tally_of([("a", 1.0)] * 9, Scored())
    stopped = EProcess().verdict(tally, 20).stopped_by
    assert stopped is not None
    assert "largest expected weight" in (stopped.guarantee or "")


def test_light_votes_are_weaker_evidence() -> None:
    heavy, light = (tally_of([("a", weight)] * 9, Scored()) for weight in (1.0, 0.3))
    assert EProcess().verdict(heavy, 20).stopped_by is not None
    assert EProcess().verdict(light, 20).stopped_by is None


@pytest.mark.parametrize("rule", [Beta(), ESC(), Saturation(), Certaindex()])
def test_rules_without_a_proof_promise_nothing(rule: StoppingRule) -> None:
    stopped = rule.verdict(votes("a" * 20), 5).stopped_by
    assert stopped is not None
    assert stopped.guarantee is None


def test_beta_counts_candidates_whatever_they_weigh() -> None:
    tally = tally_of([("a", 0.1)] * 4, Scored())
    assert Beta().verdict(tally, 10).stopped_by is not None


def test_esc_looks_at_whole_windows_only() -> None:
    assert [stops(ESC(), text) for text in ("aaaa", "aaaab", "baaaaa", "baaaaaaaaa")] == [
        False,
        False,
        False,
        True,
    ]


def test_esc_takes_an_abstention_for_no_unanimity() -> None:
    assert [stops(ESC(window=3), text) for text in ("aa.", "...", "aa.aaa")] == [False, False, True]


def test_esc_goes_on_where_the_window_does_not_lead() -> None:
    assert not stops(ESC(window=3), "aabaabbbb"[:6] + "ccc")


def test_the_second_answer_is_charged_more_than_the_first() -> None:
    assert stops(EProcess(), "aaaaaaa")
    assert not stops(EProcess(), "b" + "a" * 8)
    assert stops(EProcess(), "b" + "a" * 12)


def test_a_fixed_first_target_certifies_no_other() -> None:
    rule = EProcess(target="first")
    assert not stops(rule, "b" + "a" * 25)
    assert rule.earliest(votes("b" + "a" * 20), 10) == 10


def false_certificates(rule: StoppingRule, shares: list[float], runs: int, seed: int) -> int:
    """Runs of up to 60 draws in which another answer than the first one is certified."""
    rng, wrong = random.Random(seed), 0
    names = [chr(ord("a") + index) for index in range(len(shares))]
    for _ in range(runs):
        tally = Tally()
        for ticket, answer in enumerate(rng.choices(names, shares, k=60)):
            tally.add(ballot(answer, 1.0, ticket))
            if rule.verdict(tally, 60).stopped_by is not None:
                wrong += tally.standings[0].answer != "a"
                break
    return wrong


@pytest.mark.long
@pytest.mark.parametrize("target", ["spending", "leader", "first"])
@pytest.mark.parametrize("shares", [[0.501, 0.499], [0.34, 0.33, 0.33]])
def test_another_answer_than_the_mode_is_certified_at_most_at_delta(
    target: str, shares: list[float]
) -> None:
    # False alarm of this test: 1e-6.
    rule = EProcess.model_validate({"delta": 0.2, "target": target})
    assert may_be_at_most(false_certificates(rule, shares, runs=150, seed=3), 150, 0.2)


def test_control_beta_certifies_another_answer_more_often_than_it_says() -> None:
    rule = Beta(confidence=0.9)
    wrong = false_certificates(rule, [0.501, 0.499], runs=150, seed=3)
    assert is_surely_above(wrong, 150, 0.1)


@pytest.mark.parametrize(
    ("success", "ceiling", "epsilon", "point"),
    [(0.5, 0.6, 0.01, 5), (0.3, 0.6, 0.01, 9), (0.1, 0.9, 0.01, 21), (0.1, 0.9, 0.002, 37)],
)
def test_saturation_of_known_curves(
    success: float, ceiling: float, epsilon: float, point: int
) -> None:
    assert saturation_point(success, epsilon, ceiling) == point


@given(st.floats(0.01, 1.0), st.floats(1e-6, 0.9), st.floats(0.05, 1.0))
def test_saturation_is_the_first_point_whose_gain_is_small(
    success: float, epsilon: float, ceiling: float
) -> None:
    point = saturation_point(success, epsilon, ceiling)
    assert marginal_gain(point, success, ceiling) <= epsilon
    assert point == 1 or marginal_gain(point - 1, success, ceiling) > epsilon


def test_saturation_with_a_known_success_ignores_the_vote() -> None:
    rule = Saturation(success=0.5, epsilon=0.01)
    assert [stops(rule, "abcdefg"[:n]) for n in (5, 6)] == [False, True]
    assert not stops(rule, ".......")


def test_saturation_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError):
        saturation_point(0.0, 0.1)


@pytest.mark.parametrize("name", ["beta", "esc", "e_process", "saturation", "certaindex"])
def test_the_ladder_grows_bolder(name: str) -> None:
    firsts = [rule.earliest(Tally(), 40) for rule in StoppingRule.named(name).ladder()]
    assert firsts == sorted(firsts, reverse=True)
    assert firsts[0] > firsts[-1]
