"""Programs that count their steps, against Python itself."""

from __future__ import annotations

import random
import re
import statistics
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.evals.tasks.drawn import identity
from tts.evals.tasks.sx import SX
from tts.evals.tasks.sx_programs import Shape, draw_program, trace, written

SHAPES = [Shape(leaves=3, depth=1, parts=2, times=3), Shape(leaves=6, depth=3, parts=3, times=4)]


def executed(source: str, x: int) -> tuple[int, int]:
    """The count and the value, by running the text."""
    names: dict[str, Any] = {}
    exec(source, names)
    value = names["main"](x)
    return names["steps"], value


def lines_run(source: str, x: int) -> int:
    """How often a line `steps += 1` was reached, by the interpreter's own trace of lines."""
    counted = {n for n, line in enumerate(source.splitlines(), 1) if line.strip() == "steps += 1"}
    hits = 0

    def follow(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal hits
        if frame.f_code.co_filename != "<sx>":
            return None
        hits += event == "line" and frame.f_lineno in counted
        return follow

    names: dict[str, Any] = {}
    exec(compile(source, "<sx>", "exec"), names)
    before = sys.gettrace()
    sys.settrace(follow)
    try:
        names["main"](x)
    finally:
        sys.settrace(before)
    return hits


@given(seed=st.integers(0, 10**6), shape=st.sampled_from(SHAPES), x=st.integers(-50, 200))
def test_tracer_agrees_with_the_program_run_as_python(seed: int, shape: Shape, x: int) -> None:
    program = draw_program(random.Random(seed), shape)
    found = trace(program, x)
    if found is not None:
        assert executed(written(program), x) == (found.steps, found.value)


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_count_is_the_number_of_lines_that_the_interpreter_reaches(level: str) -> None:
    for example in SX.model_validate({"level": level, "problems": 5}).examples():
        source, x = _parts(example.problem.text)
        assert lines_run(source, x) == int(example.answer)


@pytest.mark.parametrize(
    ("level", "digest"),
    [("easy", "2cb1a592f0e1"), ("hard", "f396f85116f8")],
)
def test_a_seed_draws_the_same_programs_for_ever(level: str, digest: str) -> None:
    """Figures of a bench are about them: a faster generator must draw them to the byte."""
    examples = SX.model_validate({"level": level, "problems": 5}).examples()
    said = [(each.id, each.problem.text, each.answer) for each in examples]
    assert identity(said) == digest


def _parts(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"```python\n(.*)```\n\n.*`main\((\d+)\)`.*", text, re.DOTALL)
    assert found is not None
    return found[1], int(found[2])


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [("easy", 13, 17), pytest.param("hard", 64, 78, marks=pytest.mark.long)],
)
def test_mean_steps_are_near_the_published_and_no_guess_is_good(
    level: str, low: int, high: int
) -> None:
    examples = SX.model_validate({"level": level, "problems": 60}).examples()
    steps = [int(example.answer) for example in examples]
    assert low <= sum(steps) / len(steps) <= high
    assert max(Counter(steps).values()) / len(steps) <= 0.25
    for example in examples:
        assert int(example.answer) != example.problem.text.count("steps += 1")


def programs_of(split: str, **more: Any) -> list[str]:
    settings = {"split": split, "problems": 80, **more}
    return [_parts(each.problem.text)[0] for each in SX.model_validate(settings).examples()]


@pytest.mark.long
@pytest.mark.parametrize("ask", ["steps", "value"])
def test_no_program_is_in_both_splits_whatever_its_input(ask: str) -> None:
    """Few are drawn twice, so many are: easy ones, of several seeds and both questions."""
    develop = {each for seed in range(3) for each in programs_of("develop", ask=ask, seed=seed)}
    tested = [each for seed in range(3) for each in programs_of("test", seed=seed)]
    assert not develop & {*tested}
    assert len({*tested}) < len(tested)  # the same program with another input


@pytest.mark.long
def test_the_reference_tells_the_mean_steps() -> None:
    """Seeded, so it is the sentence's figure to its last digit; and within three of its standard
    errors of the published mean, beyond which a true one would be by chance 3 times in 1,000."""
    page = Path(__file__).parents[3] / "docs/reference/tasks.md"
    told = re.search(
        r"first (\d+) problems of `test` at seed 0 the mean is ([\d.]+) steps \(easy; standard "
        r"error ([\d.]+)\) and ([\d.]+) \(hard; ([\d.]+)\); SX-Bench has ([\d.]+) and ([\d.]+)",
        " ".join(page.read_text().split()),
    )
    assert told is not None
    count, *figures = map(float, told.groups())
    (easy, easy_error, hard, hard_error, *published) = figures
    for level, mean, error, theirs in (
        ("easy", easy, easy_error, published[0]),
        ("hard", hard, hard_error, published[1]),
    ):
        examples = SX.model_validate({"level": level, "problems": int(count)}).examples()
        steps = [int(example.answer) for example in examples]
        assert statistics.mean(steps) == pytest.approx(mean, abs=0.0501)
        assert statistics.stdev(steps) / count**0.5 == pytest.approx(error, abs=0.0501)
        assert abs(mean - theirs) <= 3 * error


def test_both_questions_are_about_the_same_programs() -> None:
    steps, values = (SX(ask=ask, problems=5).examples() for ask in ("steps", "value"))
    assert {each.id for each in steps} != set()
    for example in values:
        source, x = _parts(example.problem.text)
        assert executed(source, x)[1] == int(example.answer)


def test_endless_program_has_no_trace() -> None:
    from tts.evals.tasks.sx_programs import Assign, Program, Repeat

    nested = Repeat(4, (Repeat(4, (Repeat(4, (Repeat(4, (Repeat(4, (Assign("+", 1),)),)),)),)),))
    assert trace(Program({}, (nested, nested, nested)), 0) is None
    assert trace(Program({}, (Assign("*", 3),) * 20), 9) is None
