from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts import AnswerFormat, Candidate, Problem, Solution
from tts.testing import candidate, completion


@given(st.text().filter(str.strip))
def test_problem_writes_itself_as_its_text(text: str) -> None:
    assert str(Problem(text=text)) == text.strip()


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_problem_without_text_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="the problem is empty"):
        Problem(text=text)


def test_problem_with_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValidationError, match="no Unicode text"):
        Problem(text="What is \ud83d?")


def test_problem_takes_an_answer_format_by_name() -> None:
    problem = Problem.model_validate({"text": "Q", "answer_format": "choice"})
    assert problem.answer_format == AnswerFormat(kind="choice")


def test_candidate_is_counted_under_its_canonical_answer() -> None:
    assert candidate("$7.0").key == candidate("7").key == "7"
    assert candidate(None).key is None


def test_candidate_shows_no_raw_reasoning() -> None:
    made = Candidate(ticket=0, completion=completion("<think>x</think>y"), answer=None)
    assert (made.text, made.visible) == ("<think>x</think>y", "y")


def test_report_has_the_keys_that_scripts_rely_on() -> None:
    report = Solution(answer="7", candidates=(candidate("7"),)).report()
    assert list(report) == [
        *["answer", "text", "status", "exhausted", "strategy", "stopped_by", "samples", "usage"],
        *["parse_failures", "reasons", "failed_calls", "failed_by_role", "failed_functions"],
        *["notes", "trace_id"],
    ]
    assert report["samples"] == 1


def test_a_hint_is_written_and_leaves_the_question_the_same() -> None:
    problem = Problem(text="q", id=3)
    hinted = problem.hinted("Outline: a").hinted("Known: b")
    assert str(hinted) == "q\n\nOutline: a\n\nKnown: b"
    assert hinted.asks_same(problem)
    assert problem.asks_same(hinted)
    assert not hinted.asks_same(Problem(text="another", id=3))


def test_best_is_the_candidate_that_carries_the_answer() -> None:
    first, second = candidate("7"), candidate("8", ticket=1)
    solution = Solution(answer="8", text=second.text, candidates=(first, second))
    assert solution.best == second
    made = Solution(answer="9", text="so 9", strategy="pdr").best
    assert made is not None
    assert (made.answer, made.text, made.completion.model) == ("9", "so 9", "pdr")
    assert Solution(answer=None, candidates=(first,)).best is None
