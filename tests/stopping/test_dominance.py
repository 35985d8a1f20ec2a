from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.problem import Candidate
from tts.stopping import Dominance
from tts.testing import candidate
from tts.votes import Confidence, Plurality, Tally, Vote

RULE = Dominance()
ANSWERS = st.sampled_from(["a", "a", "b", "c", None])
LOGPROBS = st.sampled_from([None, 0.0, -0.001, -0.02, -0.1])
VOTES = st.sampled_from([Plurality(), Confidence()])


@st.composite
def sequences(draw: st.DrawFn, most: int = 12) -> list[Candidate]:
    drawn = draw(st.lists(st.tuples(ANSWERS, LOGPROBS), min_size=1, max_size=most))
    return [
        candidate(answer, ticket=ticket, logprob=logprob)
        for ticket, (answer, logprob) in enumerate(drawn)
    ]


def stopping_point(candidates: list[Candidate], vote: Vote) -> int:
    """How many of the candidates the rule looks at."""
    for seen in range(1, len(candidates)):
        if RULE.verdict(Tally.of(candidates[:seen], vote), len(candidates) - seen).stopped_by:
            return seen
    return len(candidates)


def winner(candidates: list[Candidate], vote: Vote) -> str | None:
    return Tally.of(candidates, vote).solution().answer


@given(sequences(), VOTES)
def test_dominance_answers_as_the_full_vote(candidates: list[Candidate], vote: Vote) -> None:
    seen = stopping_point(candidates, vote)
    assert winner(candidates[:seen], vote) == winner(candidates, vote)


@given(sequences(), VOTES)
def test_dominance_goes_on_while_the_runner_up_can_catch_up(
    candidates: list[Candidate], vote: Vote
) -> None:
    seen = stopping_point(candidates, vote)
    for early in range(1, seen):
        standings = Tally.of(candidates[:early], vote).standings
        weights = [standing.exact for standing in standings] + [Fraction(0)] * 2
        assert weights[1] + len(candidates) - early >= weights[0]


class Scored(Vote, name="scored"):
    """Weighs a candidate by its score, so that weighted votes can tie exactly."""

    def weight(self, candidate: Candidate) -> float | None:
        return candidate.score


CHOICES: list[tuple[str | None, float]] = [
    (None, 0.0),
    ("a", 1.0),
    ("a", 0.5),
    ("b", 1.0),
    ("b", 0.5),
    ("c", 1.0),
]


def scored(answer: str | None, weight: float, ticket: int) -> Candidate:
    return candidate(answer, ticket=ticket).model_copy(update={"score": weight})


POOL = {
    (answer, weight, ticket): scored(answer, weight, ticket)
    for answer, weight in CHOICES
    for ticket in range(5)
}


def stops_and_winner(
    votes: list[tuple[str | None, float, int]],
) -> tuple[list[str | None], str | None]:
    """The winners at all points where the rule would stop, and the winner of the full vote."""
    tally = Tally(Scored())
    winners: list[str | None] = []
    stops: list[int] = []
    for seen, vote in enumerate(votes, 1):
        tally.add(POOL[vote])
        winners.append(tally.leader.answer if tally.leader else None)
        if seen < len(votes) and RULE.verdict(tally, len(votes) - seen).stopped_by:
            stops.append(seen)
    return [winners[seen - 1] for seen in stops], winners[-1]


@pytest.mark.long
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_no_sequence_of_votes_changes_its_winner_after_a_stop(n: int) -> None:
    for drawn in product(CHOICES, repeat=n):
        votes = [(*choice, ticket) for ticket, choice in enumerate(drawn)]
        early, winner = stops_and_winner(votes)
        assert all(one == winner for one in early), votes


@pytest.mark.long
@pytest.mark.parametrize("tickets", sorted({*permutations(range(4)), *permutations([0, 0, 1, 1])}))
def test_no_order_of_tickets_changes_the_winner_after_a_stop(tickets: tuple[int, ...]) -> None:
    # Tickets out of order come from order="completion", equal ones from samples in one tally.
    for drawn in product(CHOICES[:5], repeat=4):
        votes = [(*choice, ticket) for ticket, choice in zip(tickets, drawn, strict=True)]
        early, winner = stops_and_winner(votes)
        assert all(one == winner for one in early), votes


def test_a_stop_is_as_early_as_can_be_when_the_first_answer_leads() -> None:
    for drawn in product(CHOICES[1:], repeat=3):
        tally = Tally(Scored())
        for ticket, choice in enumerate(drawn):
            tally.add(POOL[(*choice, ticket)])
        if tally.wins_ties and RULE.verdict(tally, 2).stopped_by is None:
            worst = [*tally.candidates]
            rival = tally.standings[1].answer if len(tally.standings) > 1 else "c"
            worst += [scored(rival, 1.0, ticket) for ticket in (3, 4)]
            assert Tally.of(worst, Scored()).standings[0].answer == rival


def test_a_lead_that_only_rounds_to_what_is_left_is_none() -> None:
    tally = Tally(Scored())
    for ticket, (answer, weight) in enumerate([("a", 1.0), ("b", 2.0**-70)]):
        tally.add(scored(answer, weight, ticket))
    assert (tally.lead, tally.wins_ties) == (1.0, True)
    assert RULE.verdict(tally, 1).stopped_by is None
    tally.add(scored("b", 1.0, 2))
    assert tally.standings[0].answer == "b"


@given(st.integers(1, 40))
def test_dominance_stops_a_unanimous_vote_at_the_half(n: int) -> None:
    candidates = [candidate("a", ticket=ticket) for ticket in range(n)]
    assert stopping_point(candidates, Plurality()) == (n + 1) // 2


@given(st.integers(2, 40))
def test_dominance_needs_a_majority_where_ties_may_be_lost(n: int) -> None:
    late = [candidate("a", ticket=ticket + 1) for ticket in range(n)]
    assert stopping_point(late, Plurality()) == n // 2 + 1


def continuations(tally: Tally, length: int) -> list[Tally]:
    """Every tally that so many further candidates of full or half weight could make."""
    seen = [standing.answer for standing in tally.standings]
    choices: list[tuple[str | None, float]] = [(None, 0.0), ("new", 0.0)]
    choices += [(answer, logprob) for answer in seen for logprob in (0.0, -0.035)]
    start = len(tally.candidates)
    return [
        Tally.of(
            [
                *tally.candidates,
                *(
                    candidate(answer, ticket=start + at, logprob=logprob)
                    for at, (answer, logprob) in enumerate(chosen)
                ),
            ],
            tally.vote,
        )
        for chosen in product(choices, repeat=length)
    ]


def brute_force_earliest(tally: Tally, remaining: int) -> int:
    for further in range(1, remaining):
        tallies = continuations(tally, further)
        if any(RULE.verdict(one, remaining - further).stopped_by for one in tallies):
            return further
    return remaining


@settings(max_examples=40)
@given(sequences(most=4), VOTES, st.integers(1, 5))
def test_earliest_is_the_least_number_over_all_continuations(
    candidates: list[Candidate], vote: Vote, remaining: int
) -> None:
    tally = Tally.of(candidates, vote)
    if RULE.verdict(tally, remaining).stopped_by is None:
        assert RULE.earliest(tally, remaining) == brute_force_earliest(tally, remaining)


@given(st.integers(1, 100))
def test_earliest_before_the_first_vote_is_the_half(n: int) -> None:
    assert RULE.earliest(Tally(), n) == (n + 1) // 2


@given(sequences(), VOTES, st.integers(1, 30))
def test_earliest_lies_between_one_and_remaining(
    candidates: list[Candidate], vote: Vote, remaining: int
) -> None:
    assert 1 <= RULE.earliest(Tally.of(candidates, vote), remaining) <= remaining


@pytest.mark.parametrize(("drawn", "left"), [(3, 2), (5, 1)])
def test_verdict_says_why_and_what_it_guarantees(drawn: int, left: int) -> None:
    tally = Tally.of(candidate("a", ticket=ticket) for ticket in range(drawn))
    stopped = RULE.verdict(tally, left).stopped_by
    assert stopped is not None
    assert (stopped.rule, stopped.reason) == ("dominance", f"lead {drawn} > {left} left")
    assert stopped.guarantee == f"same answer as the full vote over {drawn + left} samples"


def test_verdict_says_when_a_tie_would_be_won() -> None:
    tally = Tally.of(candidate("a", ticket=ticket) for ticket in range(4))
    stopped = RULE.verdict(tally, 4).stopped_by
    assert stopped is not None
    assert stopped.reason == "lead 4 = 4 left, and the leader came first"
