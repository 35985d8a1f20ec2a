from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import Candidate, Problem, Solution, solve
from tts.strategies.best_of_n import BestOfN
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run
from tts.verifiers import Function

SCORES = st.one_of(st.none(), st.just(math.nan), st.integers(-3, 3).map(float))


def chosen(scores: list[float | None], answers: list[str | None], **settings: int) -> Solution:
    """Best of candidates with these answers, scored by ticket."""

    def script(ticket: int) -> str:
        return "no idea" if answers[ticket] is None else f"Answer: {answers[ticket]}"

    def score(problem: Problem, candidate: Candidate) -> float | None:
        return scores[candidate.ticket]

    backend = ScriptedBackend(lambda request: script(request.ticket))
    strategy = BestOfN(samples=len(scores), verifier=Function(function=score), **settings)
    return virtual_run(lambda: solve("Q", strategy, model=backend))


@given(st.lists(st.tuples(SCORES, st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=8))
def test_the_highest_score_wins_and_ties_go_to_the_first(
    drawn: list[tuple[float | None, str | None]],
) -> None:
    scores, answers = [score for score, _ in drawn], [answer for _, answer in drawn]
    judged = [
        (-score, ticket)
        for ticket, (score, answer) in enumerate(drawn)
        if answer is not None and score is not None and not math.isnan(score)
    ]
    solution = chosen(scores, answers)
    answered = sum(answer is not None for answer in answers)
    if judged and 2 * len(judged) >= answered:
        assert solution.answer == answers[min(judged)[1]]


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=8))
def test_without_any_score_the_majority_decides(answers: list[str | None]) -> None:
    solution = chosen([None] * len(answers), answers)
    votes = [answer for answer in answers if answer is not None]
    counts = [votes.count(vote) for vote in votes]
    assert solution.answer == (votes[counts.index(max(counts))] if votes else None)


def test_when_fewer_than_half_are_judged_the_majority_decides() -> None:
    solution = chosen([9.0, None, None, None], ["a", "b", "b", "b"])
    assert (solution.answer, solution.candidates[0].score) == ("b", 9.0)


def test_scores_come_back_with_the_candidates() -> None:
    solution = chosen([1.0, None, 3.0, 2.0], ["a", "b", "c", None])
    assert [candidate.score for candidate in solution.candidates] == [1.0, None, 3.0, None]


def test_the_text_is_that_of_the_chosen_candidate() -> None:
    assert chosen([1.0, 2.0], ["a", "b"]).text == "Answer: b"


def test_candidates_lost_to_failing_calls_are_not_judged() -> None:
    backend = FlakyBackend(
        ScriptedBackend(lambda request: f"Answer: {request.ticket}"), lambda r: r.ticket == 2
    )
    verifier = Function(function=lambda problem, candidate: float(candidate.ticket))
    strategy = BestOfN(samples=3, verifier=verifier)
    solution = virtual_run(lambda: solve("Q", strategy, model=backend))
    assert (solution.answer, solution.failed_calls) == ("1", 1)


@pytest.mark.parametrize("verifier", ["logprob", "judge"])
def test_logprobs_are_asked_for_only_where_the_verifier_reads_them(verifier: str) -> None:
    backend = ScriptedBackend(lambda request: "Answer: 1")
    strategy = {"use": "best_of_n", "samples": 2, "verifier": verifier}
    virtual_run(lambda: solve("Q", strategy, model=backend))
    assert {r.logprobs for r in backend.requests if r.role == "solve"} == {verifier == "logprob"}
