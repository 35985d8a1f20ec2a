from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.problem import Candidate
from tts.testing import candidate
from tts.votes import Confidence, Plurality, Tally, Vote

ANSWERS = st.sampled_from(["7", "7.0", "14/2", "8", "8.0", "cat", "Cat", "dog", None])
LOGPROBS = st.sampled_from([None, 0.0, -0.01, -0.02, -0.1, -0.5])
VOTES = st.sampled_from([Plurality(), Confidence(), Confidence(sharpness=1.0)])


@st.composite
def candidate_lists(draw: st.DrawFn) -> list[Candidate]:
    drawn = draw(st.lists(st.tuples(ANSWERS, LOGPROBS), max_size=12))
    return [
        candidate(answer, ticket=ticket, logprob=logprob)
        for ticket, (answer, logprob) in enumerate(drawn)
    ]


def exact_winner(candidates: list[Candidate], vote: Vote) -> str | None:
    """The winner's key by exact arithmetic, ties to the first ticket."""
    sums: dict[str, Fraction] = {}
    first: dict[str, int] = {}
    for one in candidates:
        weight = vote.weight(one) if one.key is not None else None
        if one.key is not None and weight is not None:
            sums[one.key] = sums.get(one.key, Fraction(0)) + Fraction(weight)
            first[one.key] = min(first.get(one.key, one.ticket), one.ticket)
    return min(sums, key=lambda key: (-sums[key], first[key]), default=None)


def winner(candidates: list[Candidate], vote: Vote) -> str | None:
    leader = Tally.of(candidates, vote).leader
    return leader.best.key if leader else None


@given(candidate_lists(), VOTES)
def test_tally_agrees_with_exact_arithmetic(candidates: list[Candidate], vote: Vote) -> None:
    assert winner(candidates, vote) == exact_winner(candidates, vote)


@given(candidate_lists(), VOTES, st.randoms(use_true_random=False))
def test_tally_does_not_depend_on_the_order_of_adding(
    candidates: list[Candidate], vote: Vote, random: object
) -> None:
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Tally.of(candidates, vote), Tally.of(shuffled, vote)
    assert one.solution() == other.solution()
    assert one.lead == other.lead
    assert one.abstentions == other.abstentions


@given(candidate_lists())
def test_tally_counts_every_candidate_once(candidates: list[Candidate]) -> None:
    tally = Tally.of(candidates)
    counts = {standing.best.key: standing.count for standing in tally.standings}
    assert counts == Counter(one.key for one in candidates if one.key is not None)
    assert sum(counts.values()) + tally.abstentions == len(tally.candidates)


@given(candidate_lists(), VOTES)
def test_lead_is_the_gap_between_the_two_heaviest(candidates: list[Candidate], vote: Vote) -> None:
    tally = Tally.of(candidates, vote)
    weights = sorted((standing.weight for standing in tally.standings), reverse=True)
    first, second, *_ = [*weights, 0.0, 0.0]
    assert math.isclose(tally.lead, first - second, abs_tol=1e-12)
    assert tally.lead >= 0


@given(st.permutations(["a", "b", "c", "d"]))
def test_ties_go_to_the_first_ticket(answers: list[str]) -> None:
    tally = Tally.of(candidate(answer, ticket=at) for at, answer in enumerate(answers))
    assert tally.solution().answer == answers[0]


def test_ties_go_to_the_first_ticket_even_if_it_is_added_last() -> None:
    tally = Tally.of([candidate("b", ticket=1), candidate("a", ticket=0)])
    assert tally.solution().answer == "a"


@given(st.lists(st.sampled_from([0.0, -0.01, -0.02, -0.1]), min_size=3), st.data())
def test_ties_of_weights_are_never_broken_by_rounding(
    logprobs: list[float], data: st.DataObject
) -> None:
    own = [candidate("a", ticket=at, logprob=one) for at, one in enumerate(logprobs)]
    others = data.draw(st.permutations(logprobs))
    rest = [candidate("b", ticket=9 + at, logprob=one) for at, one in enumerate(others)]
    mixed = data.draw(st.permutations([*own, *rest]))
    assert Tally.of(mixed, Confidence()).solution().answer == "a"


def test_the_smallest_lead_decides() -> None:
    logprobs = [("b", 0.0), ("a", 0.0), ("a", -2.0)]
    tally = Tally.of(
        (candidate(answer, ticket=at, logprob=one) for at, (answer, one) in enumerate(logprobs)),
        Confidence(),
    )
    assert (tally.solution().answer, [s.weight for s in tally.standings]) == ("a", [1.0, 1.0])


@given(candidate_lists())
def test_abstentions_never_vote(candidates: list[Candidate]) -> None:
    silent = [candidate(None, ticket=100 + extra) for extra in range(20)]
    assert winner([*candidates, *silent], Plurality()) == winner(candidates, Plurality())


def test_all_abstaining_is_no_answer() -> None:
    solution = Tally.of([candidate(None), candidate(None, ticket=1)]).solution()
    assert (solution.answer, solution.status, solution.text) == (None, "no_answer", "")


def test_empty_tally_has_no_leader_and_no_lead() -> None:
    assert (Tally().leader, Tally().lead, Tally().standings) == (None, 0.0, [])


def test_solution_lists_candidates_by_ticket() -> None:
    tally = Tally.of(candidate("7", ticket=ticket) for ticket in (2, 0, 1))
    assert [one.ticket for one in tally.solution().candidates] == [0, 1, 2]


def test_solution_shows_the_answer_as_its_heaviest_candidate_wrote_it() -> None:
    light, heavy = candidate("7", logprob=-1.0), candidate("7.0", ticket=1, logprob=-0.1)
    assert Tally.of([light, heavy], Confidence()).solution().answer == "7.0"


def test_equal_mathematics_counts_together() -> None:
    answers = ["5", r"\sqrt{8}", r"2\sqrt{2}"]
    tally = Tally.of(candidate(answer, ticket=at) for at, answer in enumerate(answers))
    assert tally.solution().answer == r"\sqrt{8}"


@given(LOGPROBS)
def test_plurality_weighs_every_candidate_one(logprob: float | None) -> None:
    assert Plurality().weight(candidate("7", logprob=logprob)) == 1.0


@given(st.floats(-50.0, 0.0), st.floats(0.1, 1000.0))
def test_confidence_is_the_powered_likelihood_per_token(mean: float, sharpness: float) -> None:
    weight = Confidence(sharpness=sharpness).weight(candidate("7", logprob=mean))
    assert weight == pytest.approx(math.exp(mean) ** sharpness, rel=1e-6)
    assert weight is not None
    assert 0.0 <= weight <= 1.0


@given(st.floats(-5.0, 0.0), st.floats(-5.0, 0.0))
def test_confidence_grows_with_the_likelihood(one: float, other: float) -> None:
    lower, upper = sorted([one, other])
    weigh = Confidence(sharpness=1.0).weight
    assert (weigh(candidate("7", logprob=lower)) or 0) <= (
        weigh(candidate("7", logprob=upper)) or 0
    )


def test_confidence_without_logprobs_abstains() -> None:
    tally = Tally.of([candidate("7"), candidate("8", ticket=1, logprob=-1.0)], Confidence())
    assert (tally.solution().answer, tally.abstentions) == ("8", 1)


def test_confidence_needs_logprobs() -> None:
    assert Confidence().needs == {"logprobs"}
    assert Plurality().needs == frozenset()
