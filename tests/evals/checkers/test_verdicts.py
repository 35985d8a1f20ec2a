"""Checkers one by one, where the contract says too little."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts import Problem
from tts.evals.checkers import Checker, CheckFailed
from tts.evals.checkers.approximate import Approximate
from tts.evals.checkers.arithmetic import value_of
from tts.evals.checkers.choice import Choice
from tts.evals.checkers.equivalence import Equivalent
from tts.evals.checkers.exact import Exact
from tts.evals.checkers.expression import ExpressionChecker
from tts.evals.checkers.function import Function
from tts.evals.checkers.function_calls import FunctionCalls, _all_placed, calls_in, first_right
from tts.evals.checkers.mathematics import MathVerify
from tts.evals.checkers.numeric import Numeric
from tts.evals.checkers.regex import Regex
from tts.evals.checkers.worker import Worker
from tts.evals.tasks import Example
from tts.toolboxes import allow_tools

pytestmark = pytest.mark.anyio
HERE = "tests.evals.checkers.test_verdicts"


def example(answer: str, **extra: Any) -> Example:
    return Example(id="1", problem=Problem(text="?"), answer=answer, extra=extra)


async def right(checker: Checker, answer: str | None, wanted: Example, text: str = "") -> bool:
    return await checker.check(answer, text or f"Answer: {answer}", wanted)


@pytest.mark.parametrize(
    ("checker", "wanted", "words"),
    [
        (Numeric(), example("many"), "'many' is no number"),
        (Choice(), example("the second"), "is no letter A to J"),
        (Regex(), example("("), "no regular expression"),
        (FunctionCalls(), example("[1]"), "no list of expected calls"),
        (FunctionCalls(), example('[{"f": {"x": []}}]'), "nothing is allowed"),
        (ExpressionChecker(), example("1 + 2"), "no numbers and target"),
    ],
)
async def test_right_answer_that_is_none_fails_the_check(
    checker: Checker, wanted: Example, words: str
) -> None:
    with pytest.raises(CheckFailed, match=words):
        await checker.check("1", "1", wanted)


@given(share=st.just(0.0) | st.floats(1e-9, 1), value=st.integers(1, 10**6))
def test_tolerance_is_a_share_of_the_right_number(share: float, value: int) -> None:
    import anyio

    inside, outside = value * (1 + share * 0.99), value * (1 + share * 1.01 + 0.001)
    checker = Numeric(relative=share)
    assert anyio.run(right, checker, f"{inside:.12f}", example(str(value)))
    assert not anyio.run(right, checker, f"{outside:.12f}", example(str(value)))


async def test_absolute_tolerance() -> None:
    assert await right(Numeric(absolute=0.5), "7.5", example("7"))
    assert not await right(Numeric(absolute=0.5), "7.6", example("7"))


@pytest.mark.parametrize("answer", ["20%", r"20\%", "20 percent", "$20\\%$", "20", "20%."])
async def test_bare_right_number_takes_a_percent_sign_where_set(answer: str) -> None:
    assert await right(Numeric(percent=True), answer, example("20"))
    assert await right(Numeric(), answer, example("20")) is (answer == "20")
    assert not await right(Numeric(percent=True), answer, example("0.2%"))
    assert not await right(Numeric(percent=True), answer, example("2000"))


async def test_year_is_exact_unless_told_otherwise() -> None:
    assert not await right(Approximate(), "1990", example("1989"))
    assert await right(Approximate(years=False), "1990", example("1989"))
    assert await right(Approximate(), "the Mariana trench", example("Mariana Trench"))
    assert not await right(Approximate(), "about it", example("1989"))


async def test_exactness_is_as_chosen() -> None:
    assert await right(Exact(by="words"), "a cat, the dog", example("Cat dog"))
    assert not await right(Exact(by="characters"), "cat", example("Cat"))
    assert await right(Exact(by="characters"), " Cat\n", example("Cat"))


async def test_regex_of_the_task_and_in_the_text() -> None:
    assert await right(Regex(pattern="a+", ignore_case=True), "AA", example(""))
    assert await right(Regex(within="text"), "x", example("(?m)^Proof"), "x\nProof: ...")
    assert await Regex(within="text").check(None, "so 42 it is", example("42"))
    assert not await Regex(within="text").check(None, "so 43 it is", example("42"))
    with pytest.raises(ValidationError, match="not a regular expression"):
        Regex(pattern="(")


async def test_regex_that_hangs_fails_the_check_and_holds_nobody() -> None:
    hanging = Regex(pattern="(a+)+b", seconds=0.5)
    with pytest.raises(CheckFailed, match=r"the regular expression had no result in 0\.5 seconds"):
        await right(hanging, "a" * 40, example(""))
    assert await right(hanging, "aab", example(""))


def test_leaving_does_not_wait_for_a_match() -> None:
    program = """
import threading
from tts.evals.checkers.base import CheckFailed
from tts.evals.checkers.regex import _worker

def ask():
    try:
        _worker.ask({"pattern": "(a+)+b", "flags": 0, "text": "a" * 60, "whole": False,
                     "seconds": 600}, 600)
    except CheckFailed:
        pass

_worker.ask({"pattern": "a", "flags": 0, "text": "a", "whole": False, "seconds": 60}, 60)
process = _worker._running()
asked, _worker._running = threading.Event(), lambda: asked.set() or process
threading.Thread(target=ask, daemon=True).start()
asked.wait(60)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=120, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_comparison_as_mathematics_leaves_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []

    def equal(one: str, other: str) -> bool:
        threads.append(threading.current_thread())
        return True

    monkeypatch.setattr("tts.evals.checkers.equivalence.equivalent", equal)
    assert await right(Equivalent(), "x+1", example("1+x"))
    assert await right(Equivalent(), "7.0", example("7"))
    assert not await right(Equivalent(), "8", example("7"))
    (thread,) = threads
    assert thread is not threading.main_thread()


PUZZLE = example("", numbers=[2, 3, 4], target=14, signs="+-*")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("3 + 4 = 7\n2 * 7 = 14", True),
        ("Let me see.\n3 + 4 = 7\n7 * 2 = 14\nAnswer: 14", True),
        ("3 + 4 = 7\n3 * 4 = 12\n2 + 12 = 14", True),  # a try before
        ("3 + 4 = 8\n2 * 7 = 14", False),
        ("3 + 4 = 7\n7 + 7 = 14", False),
        ("2 * 7 = 14", False),
        ("28 / 2 = 14\n14 + 0 = 14", False),
        ("4 / 0 = 3\n2 * 7 = 14", False),
    ],
)
async def test_steps_must_lead_to_the_target(text: str, verdict: bool) -> None:
    assert await ExpressionChecker().check(text.rpartition("\n")[2], text, PUZZLE) is verdict


async def test_division_counts_only_where_it_is_allowed() -> None:
    with_division = PUZZLE.model_copy(update={"extra": {**PUZZLE.extra, "target": 6}})
    assert not await right(ExpressionChecker(), "4 / 2 * 3", with_division)
    assert value_of("1 / (1 - 1)") is None
    assert value_of("2 ** 3") is None
    assert value_of("01 + 2") is None


def say_one(answer: str, wanted: Example) -> object:
    return 1


def fail(answer: str, wanted: Example) -> bool:
    raise KeyError("what\never")


async def wait(answer: str, wanted: Example) -> bool:
    import anyio

    await anyio.sleep_forever()
    return True


async def agree(answer: str, wanted: Example) -> bool:
    return answer == wanted.answer


def made(name: str, **settings: Any) -> Function:
    with allow_tools(HERE):
        return Function(path=f"{HERE}.{name}", **settings)


async def test_function_may_be_asynchronous() -> None:
    assert await right(made("agree"), "7", example("7"))
    assert not await right(made("agree"), "8", example("7"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("say_one", "returned int"), ("fail", "KeyError: 'what"), ("wait", "TimeoutError")],
)
async def test_function_that_does_not_judge_fails_the_check(name: str, words: str) -> None:
    with pytest.raises(CheckFailed, match=words) as failed:
        await right(made(name, seconds=0.01 if name == "wait" else 30), "7", example("7"))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [(f"{HERE}.none", "cannot import"), (f"{HERE}.HERE", "is no function"), ("os.abort", "allow")],
)
async def test_function_must_exist_and_be_allowed(path: str, words: str) -> None:
    with allow_tools(HERE), pytest.raises(ValidationError, match=words):
        Function(path=path)


@pytest.mark.parametrize(
    "text",
    ["f(1)", "f(x=y)", "f(x=1, x=1)", "f(**{})", "x = f()", "f", '{"name": 1}', "f(" * 3000, "1"],
)
async def test_what_is_no_call_with_keywords_is_none(text: str) -> None:
    assert calls_in(text) is None


async def test_calls_are_matched_as_a_whole() -> None:
    wanted = example('[{"f": {"x": [1, 2]}}, {"f": {"x": [1]}}]')
    assert await right(FunctionCalls(), "[f(x=1), f(x=2)]", wanted)  # greedy matching would fail
    assert not await right(FunctionCalls(), "[f(x=2), f(x=2)]", wanted)
    assert not await right(FunctionCalls(), "[f(x=1)]", wanted)


async def test_many_like_calls_are_soon_placed() -> None:
    wanted = example(json.dumps([{"f": {"x": [1]}}] * 40))
    calls = ["f(x=1)"] * 40
    assert await right(FunctionCalls(), f"[{', '.join(calls)}]", wanted)
    calls[-1] = "f(x=2)"
    assert not await right(FunctionCalls(), f"[{', '.join(calls)}]", wanted)


@given(
    st.integers(1, 5).flatmap(
        lambda size: st.lists(
            st.lists(st.booleans(), min_size=size, max_size=size), min_size=size, max_size=size
        )
    )
)
def test_calls_are_placed_as_by_trying_all_orders(fits: list[list[bool]]) -> None:
    orders = permutations(range(len(fits)))
    expected = any(all(map(list.__getitem__, fits, order)) for order in orders)
    assert _all_placed(fits) is expected


async def test_nested_arguments_and_json_names() -> None:
    wanted = example(
        '[{"f": {"at": [{"city": ["Paris"], "on": [true, ""]}], "n": [null], "l": [["A", 1]]}}]'
    )
    for answer in (
        "f(at={'city': 'paris', 'on': true}, n=null, l=['a', 1.0])",
        '```python\nf(at={"city": "Paris"}, n=None, l=("A", 1))\n```',
        first_right(wanted.answer),
    ):
        assert await right(FunctionCalls(), answer, wanted), answer
    assert not await right(FunctionCalls(), "f(at={'town': 'Paris'}, n=None, l=['A', 1])", wanted)


async def test_mathematics_goes_beyond_the_canonical_form() -> None:
    checker = MathVerify()
    assert await right(checker, "$(2,3] $", example("(2, 3]"))
    assert await right(checker, r"3\sqrt{2}", example(r"\sqrt{18}"))
    assert not await right(checker, r"\frac{", example(r"\sqrt{18}"))
    assert await right(checker, "36", example(r"\$36"))


@pytest.mark.parametrize("given", ["2516_{8}", r"$2516_{\text{8}}$", r"\boxed{2516_8}"])
async def test_numbers_of_other_bases_differ(given: str) -> None:
    assert await right(MathVerify(), given, example("2516_8"))
    for other in ("2516_7", "2516", "2517_8"):
        assert not await right(MathVerify(), given, example(other))
        assert not await right(MathVerify(), other, example("2516_8"))


@pytest.mark.long
async def test_mathematics_that_takes_too_long_fails_the_check() -> None:
    checker = MathVerify(seconds=0.001)
    with pytest.raises(CheckFailed, match=r"no result in 0\.001 seconds"):
        await right(checker, "x^2 + 2x + 1", example("(x + 1)^2"))
    assert await right(MathVerify(), "x^2 + 2x + 1", example("(x + 1)^2"))  # by another process


async def test_worker_that_cannot_start_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    for program, words in (("/no/such", "no process"), ("/bin/true", "could not be started")):
        monkeypatch.setattr(sys, "executable", program)
        worker = Worker("math_worker.py", "math-verify")
        with pytest.raises(CheckFailed, match=words):
            worker.ask({"right": "1", "given": "2"}, 1.0)
        worker.close()


async def test_mathematics_without_the_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts.evals.checkers.mathematics.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"tts-orchestrator\[math\]"):
        MathVerify()
