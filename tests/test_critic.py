from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tts
from tts import Request
from tts.critic import soundness
from tts.messages import Completion, TokenLogprob, Usage
from tts.testing import ScriptedBackend

PASSED = "1. a = 1 ok\n2. b = a + 1 = 1 + 1 = 2 ok\nCorrect: Yes"
FAILED = "1. a = 1 ok\n2. b = a + 1 = 1 + 1 = 2 wrong\nCorrect: No"


def tokens(text: str, sure: dict[int, float]) -> list[TokenLogprob]:
    """Cut a text into words with the space before them; the nth mark has its own probability."""
    marks, found = -1, list[TokenLogprob]()
    for word in text.replace("\n", " \n ").split(" "):
        if word.strip() in ("ok", "wrong", "Yes", "No"):
            marks += 1
        probability = sure.get(marks, 1.0) if word in ("ok", "wrong", "Yes", "No") else 0.5
        space = "" if not found or word == "\n" or found[-1].token == "\n" else " "
        found.append(TokenLogprob(token=space + word, logprob=math.log(probability)))
    return found


def test_the_score_is_the_product_of_the_marks() -> None:
    assert soundness(PASSED, tokens(PASSED, {0: 0.9, 1: 0.8, 2: 0.5})) == pytest.approx(0.36)
    assert soundness(FAILED, tokens(FAILED, {0: 0.9, 1: 0.8, 2: 0.5})) == pytest.approx(
        0.9 * 0.2 * 0.5
    )


def test_without_certainties_a_critique_passes_or_fails() -> None:
    assert (soundness(PASSED), soundness(FAILED)) == (1.0, 0.0)


def test_tokens_of_another_text_are_not_used() -> None:
    assert soundness(PASSED, tokens(FAILED, {0: 0.1})) == 1.0


def test_reasoning_before_the_critique_is_not_a_mark() -> None:
    thought = "looks ok\n"
    logprobs = [TokenLogprob(token=thought, logprob=-3.0), *tokens(PASSED, {0: 0.5})]
    assert soundness(PASSED, logprobs) == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["", "1. a = 1 ok", "All is fine.", "correct"])
def test_no_verdict_is_no_score(text: str) -> None:
    assert soundness(text) is None


@pytest.mark.parametrize("text", ["**Correct: Yes**", "correct: yes.", "Correct:\nYES"])
def test_verdicts_are_read_as_models_write_them(text: str) -> None:
    assert soundness(text) == 1.0


@given(st.text(), st.lists(st.floats(-5, 0), max_size=4))
def test_any_text_has_a_share_or_none(text: str, logprobs: list[float]) -> None:
    found = soundness(text, [TokenLogprob(token="ok", logprob=each) for each in logprobs])
    assert found is None or 0.0 <= found <= 1.0


def solved(critic: str) -> tts.Solution:
    def script(request: Request) -> str | Completion:
        if request.role == "solve":
            return f"Answer: {request.ticket}"
        if critic != "best is 2":
            return critic
        sure = 0.9 if "Answer: 2" in request.messages[0].content else 0.4
        logprobs = tuple(tokens(PASSED, {1: sure}))
        return Completion(text=PASSED, usage=Usage(), logprobs=logprobs, model="m")

    strategy = {"use": "best_of_n", "samples": 4, "verifier": "critique"}
    return tts.solve_sync("q", strategy, model=ScriptedBackend(script), seed=0)


def test_best_of_n_takes_the_candidate_that_passes_most_surely() -> None:
    solution = solved("best is 2")
    assert solution.answer == "2"
    assert [each.score for each in solution.candidates] == pytest.approx([0.4, 0.4, 0.9, 0.4])
    assert solution.usage.calls == 8


def test_a_critic_that_comes_to_no_verdict_is_counted_and_the_majority_decides() -> None:
    solution = solved("It is hard to say.")
    assert (solution.answer, solution.parse_failures) == ("0", 4)
