from __future__ import annotations

import math

import pytest

import tts
from tts.errors import BackendUnavailable, NoQuorum
from tts.testing import FlakyBackend, ScriptedBackend, completion, virtual_run


def vote(answers: list[str], **settings: object) -> tts.Solution:
    backend = ScriptedBackend(lambda request: f"Answer: {answers[request.ticket]}")
    strategy = {"use": "self_consistency", "samples": len(answers)} | settings
    return tts.solve_sync("q", strategy, model=backend)


def test_majority_wins() -> None:
    assert vote(["1", "2", "2", "3", "2"], stop="never").answer == "2"


def test_tie_goes_to_the_first_ticket() -> None:
    assert vote(["3", "1", "1", "3"], stop="never").answer == "3"


def test_rule_stops_as_soon_as_the_vote_is_decided() -> None:
    solution = vote(["2", "2", "2", "2", "1", "1", "1"])
    assert (solution.answer, solution.samples) == ("2", 4)
    assert solution.usage.calls == 4
    assert solution.stopped_by is not None
    assert solution.stopped_by.guarantee == "same answer as the full vote over 7 samples"


def test_never_draws_all_at_once() -> None:
    solution = vote(["2"] * 7, stop="never")
    assert (solution.samples, solution.stopped_by) == (7, None)
    one = solution.candidates[0].completion.usage.total_tokens
    assert (solution.usage.total_tokens, solution.usage.critical_tokens) == (7 * one, one)


def test_confidence_weighs_by_the_mean_logprob() -> None:
    def script(request: tts.Request) -> tts.Completion:
        assert request.logprobs
        sure = request.ticket == 2
        return completion(f"Answer: {2 if sure else 1}", logprob=-0.01 if sure else -1.0)

    strategy = {"use": "self_consistency", "samples": 3, "vote": "confidence", "stop": "never"}
    solution = tts.solve_sync("q", strategy, model=ScriptedBackend(script))
    assert 2 * math.exp(-20.0) < math.exp(-0.2)
    assert solution.answer == "2"


def test_nothing_readable_is_no_answer() -> None:
    backend = ScriptedBackend(lambda request: "I do not know")
    solution = tts.solve_sync("q", {"use": "self_consistency", "samples": 3}, model=backend)
    assert (solution.answer, solution.status) == (None, "no_answer")
    assert solution.parse_failures == 3


@pytest.mark.parametrize(("quorum", "dies"), [(1, False), (2, False), (3, True)])
def test_quorum_says_how_many_must_survive(quorum: int, dies: bool) -> None:
    backend = FlakyBackend(
        ScriptedBackend(lambda request: "Answer: 7"), fails=lambda request: request.ticket < 3
    )
    strategy = {"use": "self_consistency", "samples": 5, "quorum": quorum}
    if dies:
        with pytest.raises(NoQuorum, match=r"2 candidates survived.*3 are needed") as raised:
            virtual_run(lambda: tts.solve("q", strategy, model=backend))
        assert len(raised.value.candidates) == 2
        assert isinstance(raised.value.__cause__, BackendUnavailable)
    else:
        solution = virtual_run(lambda: tts.solve("q", strategy, model=backend))
        assert solution.samples == 2
