from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import tts
from tests.contracts.roles import actor
from tts import Candidate, Capabilities, ConfigError, Problem, Request, Solution
from tts.ballots import Borda, Verified, borda
from tts.testing import FlakyBackend, ScriptedBackend, candidate, completion, virtual_run
from tts.verifiers import Function, Judge, MeanLogprob, YesNo
from tts.votes import Tally, Vote

SCORES = st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float)), max_size=12)


@given(SCORES, st.floats(0.0, 9.0))
def test_borda_weights_lie_in_range_and_the_single_best_has_1(
    scores: list[float | None], power: float
) -> None:
    weights = borda(scores, power)
    known = [score for score in scores if score is not None]
    assert all((one is None) == (other is None) for one, other in zip(scores, weights, strict=True))
    assert all(0.0 <= weight <= 1.0 for weight in weights if weight is not None)
    if known and known.count(max(known)) == 1:
        assert weights[scores.index(max(known))] == 1.0


@given(SCORES, st.floats(0.0, 9.0), st.randoms(use_true_random=False))
def test_borda_does_not_depend_on_the_order(
    scores: list[float | None], power: float, dice: random.Random
) -> None:
    order = dice.sample(range(len(scores)), len(scores))
    weights, shuffled = borda(scores, power), borda([scores[at] for at in order], power)
    assert shuffled == [weights[at] for at in order]


@given(SCORES, st.floats(0.0, 9.0), st.sampled_from([0.5, 2.0, 8.0]), st.sampled_from([-3.0, 4.0]))
def test_borda_sees_the_order_of_scores_only(
    scores: list[float | None], power: float, scale: float, shift: float
) -> None:
    moved = [None if score is None else scale * score + shift for score in scores]
    assert borda(moved, power) == borda(scores, power)


@given(SCORES)
def test_borda_with_power_0_counts_all_alike(scores: list[float | None]) -> None:
    assert {weight for weight in borda(scores, 0.0) if weight is not None} <= {1.0}


@given(SCORES, st.floats(0.0, 9.0))
def test_borda_equal_scores_have_equal_weights(scores: list[float | None], power: float) -> None:
    weights: dict[float | None, set[float | None]] = {}
    for score, weight in zip(scores, borda(scores, power), strict=True):
        weights.setdefault(score, set()).add(weight)
    assert all(len(each) == 1 for each in weights.values())


def test_borda_by_hand() -> None:
    assert borda([1.0, 4.0, 2.0, 3.0], 2.0) == [1 / 16, 1.0, 4 / 16, 9 / 16]


def vote(
    answers: list[str],
    ballot: object,
    *,
    stop: str = "never",
    judge: Callable[[Request], str] = lambda request: "1",
) -> tuple[Solution, ScriptedBackend]:
    """Self-consistency over these answers; the later a ticket, the surer it is."""

    def script(request: Request) -> tts.Completion | str:
        if request.role != "solve":
            return judge(request)
        sure = -0.5 + 0.1 * request.ticket
        return completion(f"Answer: {answers[request.ticket]}", logprob=sure)

    backend = ScriptedBackend(script)
    strategy = {
        "use": "self_consistency", "samples": len(answers), "stop": stop, "vote": ballot,
    }  # fmt: skip
    return virtual_run(lambda: tts.solve("q", strategy, model=backend)), backend


def test_borda_in_self_consistency() -> None:
    answers = ["1", "1", "2", "2"]  # the surest say 2
    assert vote(answers, {"use": "borda", "power": 1.0})[0].answer == "2"
    assert vote(answers, {"use": "borda", "power": 0.0})[0].answer == "1"


def test_a_collective_vote_draws_all_at_once_whatever_the_rule() -> None:
    solution, backend = vote(["1"] * 6, "borda", stop="dominance")
    assert (solution.samples, solution.stopped_by, len(backend.requests)) == (6, None, 6)
    one = solution.candidates[0].completion.usage.total_tokens
    assert solution.usage.critical_tokens == one


def test_verified_sums_scores() -> None:
    scores = {"1": 0.3, "2": 0.7}
    by = Function(function=lambda problem, one: scores[one.answer or ""])
    solution, _ = vote(["1", "1", "2"], Verified(verifier=by, sharpness=1.0))
    assert solution.answer == "1"
    assert vote(["1", "1", "2"], Verified(verifier=by, sharpness=9.0))[0].answer == "2"
    assert [each.score for each in solution.candidates] == [0.3, 0.3, 0.7]


def test_verified_by_a_judge_takes_the_chosen_one() -> None:
    solution, backend = vote(
        ["1", "1", "2"],
        {"use": "verified", "verifier": "judge"},
        judge=lambda request: str(1 + _place(request, "Answer: 2")),
    )
    assert solution.answer == "2"
    assert sum(request.role == "select" for request in backend.requests) == 1


def _place(request: Request, text: str) -> int:
    shown = request.messages[0].content
    return shown[: shown.index(text)].count("Solution ") - 1


def test_when_fewer_than_half_are_judged_each_counts_once() -> None:
    def by(problem: Problem, one: Candidate) -> float | None:
        return 9.0 if one.ticket == 2 else None

    verified = Verified(verifier=Function(function=by), sharpness=1.0)
    solution, _ = vote(["1", "1", "2"], verified)
    assert (solution.answer, solution.parse_failures) == ("1", 2)


def test_a_judge_that_fails_leaves_the_plain_vote() -> None:
    backend = FlakyBackend(actor(), fails=lambda request: request.role == "select")
    strategy = {"use": "self_consistency", "vote": {"use": "verified", "verifier": "judge"}}
    solution = virtual_run(lambda: tts.solve("q", strategy, model=backend))
    plain = Tally.of(solution.candidates).solution()
    assert (solution.answer, solution.failed_calls) == (plain.answer, 1)


@pytest.mark.parametrize("verifier", [MeanLogprob(), Function(function=lambda p, c: 1.0)])
def test_scores_that_are_no_shares_need_sharpness(verifier: MeanLogprob | Function) -> None:
    with pytest.raises(ValidationError, match="set sharpness"):
        Verified(verifier=verifier)
    assert Verified(verifier=verifier, sharpness=1.0)
    assert Verified(verifier=Judge())


def test_needs_and_roles_are_those_of_what_is_asked() -> None:
    by = Borda(by=Verified(verifier=YesNo()))
    assert by.roles() == {"solve": frozenset(), "verify": {"top_logprobs"}}
    strategy = tts.Strategy.parse({"use": "self_consistency", "vote": by})
    assert strategy.roles() == ("solve", "verify")
    assert Borda(by=Verified(verifier=MeanLogprob(), sharpness=1.0)).roles() == {
        "solve": {"logprobs"}
    }


def test_a_model_without_the_ability_is_refused_before_the_first_call() -> None:
    backend = ScriptedBackend(["no"], capabilities=Capabilities(logprobs=True))
    strategy = {"use": "self_consistency", "vote": "self_certainty"}
    with pytest.raises(ConfigError, match="top_logprobs"):
        tts.solve_sync("q", strategy, model=backend)
    assert backend.requests == []


@pytest.mark.parametrize(
    ("ballot", "logprobs", "alternatives"),
    [("plurality", False, 0), ("confidence", True, 0), ("deepconf", True, 5),
     ({"use": "borda", "by": "self_certainty"}, True, 5), ("verified", False, 0)],
)  # fmt: skip
def test_calls_ask_for_what_the_vote_reads(
    ballot: object, logprobs: bool, alternatives: int
) -> None:
    backend = ScriptedBackend(
        lambda request: "Answer: 1",
        capabilities=Capabilities(logprobs=True, top_logprobs=5),
    )
    strategy = {"use": "self_consistency", "samples": 2, "vote": ballot}
    tts.solve_sync("q", strategy, model=backend)
    asked = [request for request in backend.requests if request.role == "solve"]
    assert {(each.logprobs, each.top_logprobs) for each in asked} == {(logprobs, alternatives)}


@pytest.mark.parametrize("ballot", [Borda(), Verified()])
def test_a_strategy_that_counts_a_collective_vote_itself_is_told(ballot: Vote) -> None:
    tally = Tally.of([candidate("7")], ballot)
    with pytest.raises(ConfigError, match=r"run\.count"):
        tally.solution()


@given(st.permutations(list(range(5))), st.sampled_from([0.5, 1.0, 2.0]))
def test_sharpened_scores_ignore_a_shift(order: list[int], sharpness: float) -> None:
    verified = Verified(verifier=MeanLogprob(), sharpness=sharpness)
    scores = [float(each) for each in order]
    one = list(verified._weights(scores))
    other = list(verified._weights([each - 7.0 for each in scores]))
    assert one == pytest.approx(other)
    assert max(weight or 0.0 for weight in one) == 1.0
    assert math.isclose((one[order.index(3)] or 0.0), math.exp(-sharpness))
