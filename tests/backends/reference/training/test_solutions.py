"""Labels of drafts, judged again line by line from the text."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from tts.backends.reference.training.solutions import (
    answer_of,
    draft,
    line,
    read,
    redone,
    solution,
    wrong_number,
)
from tts.backends.reference.training.world import Problem, draw_problem

SEEDS = st.integers(0, 10**6)
PROBLEMS = st.builds(
    lambda seed, level, form: draw_problem(random.Random(seed), level, form, "train"),
    SEEDS,
    st.integers(1, 6),
    st.sampled_from(["facts", "sentences"]),
)


def calculate(sum_: str) -> int:
    left, sign, right = sum_.split()
    one, two = int(left), int(right)
    return {"+": one + two, "-": one - two, "*": one * two}[sign]


def holds(problem: Problem, text: str, above: dict[str, str]) -> bool:
    """Judge a line by the problem and the lines above it."""
    name, *parts = text.split(" = ")
    if parts[0] != str(problem.definitions[name]):
        return False
    if len(parts) == 1:
        return True
    filled = re.sub(r"[a-z]+", lambda found: above.get(found[0], "?"), parts[0])
    return filled == parts[1] and calculate(filled) == int(parts[2])


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_solution_holds_in_every_line(problem: Problem, seed: int) -> None:
    text = solution(problem, problem.order(random.Random(seed)))
    *lines, last = text.split("\n")
    above: dict[str, str] = {}
    for each in lines:
        assert holds(problem, each, above)
        above[each.split()[0]] = each.split()[-1]
    assert last == f"Answer: {problem.answer}"
    assert answer_of(text) == problem.answer


@given(problem=PROBLEMS, seed=SEEDS, wrong=st.sampled_from([0.0, 0.5, 1.0]))
def test_labels_of_drafts_are_exact(problem: Problem, seed: int, wrong: float) -> None:
    made = draft(problem, random.Random(seed), wrong)
    above: dict[str, str] = {}
    for index, each in enumerate(made.lines):
        assert holds(problem, each, above) != (index in made.faulty), each
        above[each.split()[0]] = each.split()[-1]
    assert made.right == (made.answer == problem.answer)
    assert answer_of(made.text) == made.answer == int(above[problem.target])
    assert made.values == {name: int(value) for name, value in above.items()}
    assert all(0 <= int(value) <= 99 for value in above.values())


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_line_done_again_is_the_right_one(problem: Problem, seed: int) -> None:
    made = draft(problem, random.Random(seed), 0.5)
    above: dict[str, int] = {}
    for index, each in enumerate(made.lines):
        name = each.split()[0]
        assert (redone(problem, name, above) == each) == (index not in made.faulty)
        above[name] = int(each.split()[-1])


def test_prose_is_labelled_wrong_and_loses_nothing() -> None:
    problem = draw_problem(random.Random(3), 2, "facts", "train")
    made = read(problem, "let us see\nx = y")
    assert (made.faulty, made.answer, made.right) == (frozenset({0, 1}), None, False)
    assert redone(problem, "nothing", {}) == "nothing = ?"


@given(problem=PROBLEMS)
def test_drafts_are_right_or_wrong_as_often_as_asked(problem: Problem) -> None:
    rng = random.Random(1)
    assert draft(problem, rng, 0.0).right
    assert not draft(problem, rng, 1.0).right


def test_a_line_shows_formula_numbers_and_value() -> None:
    problem = draw_problem(random.Random(3), 1, "facts", "train")
    left, sign, right = str(problem.definitions[problem.target]).split()
    numbers = [each if each.isdigit() else str(problem.values[each]) for each in (left, right)]
    assert line(problem, problem.target, problem.values) == (
        f"{problem.target} = {left} {sign} {right}"
        f" = {numbers[0]} {sign} {numbers[1]} = {problem.answer}"
    )


@given(seed=SEEDS, right=st.integers(0, 99), near=st.lists(st.integers(0, 99)))
def test_a_wrong_number_is_wrong_and_in_range(seed: int, right: int, near: list[int]) -> None:
    wrong = wrong_number(random.Random(seed), right, near)
    assert wrong != right
    assert 0 <= wrong <= 99


def test_the_last_answer_counts() -> None:
    assert answer_of("Answer: 3\nno\nAnswer: 12") == 12
    assert answer_of("12") is None
