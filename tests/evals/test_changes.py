from __future__ import annotations

from typing import Any

from tts.evals.changes import changed_problems, changes
from tts.evals.records import Cell
from tts.evals.tasks.base import Example
from tts.problem import Problem


def cells(*strategies: str, **settings: Any) -> list[Cell]:
    return [Cell(task="t", model="m", strategy=each, settings=settings) for each in strategies]


def test_equal_grids_have_no_differences_and_an_empty_one_cannot_differ() -> None:
    assert changes(cells("a", "b", x=1), cells("a", "b", x=1)) == []
    assert changes([], cells("a")) == []


def test_a_setting_is_told_once_with_whom_it_meets() -> None:
    old, new = cells("a", "b", m={"x": 1, "y": [2]}), cells("a", "b", m={"x": 2, "y": [2]}, z="q")
    assert changes(old, new) == [
        "m.x was 1, is 2 (of all; solved anew)",
        'z was not set, is "q" (of all; solved anew)',
    ]
    assert changes(cells("a", "b"), [*cells("a"), *cells("b", x=1)]) == [
        "x was not set, is 1 (of b; solved anew)"
    ]


def test_what_came_and_went_is_named_by_its_axis() -> None:
    moved = [each.model_copy(update={"seed": 7, "task": "u"}) for each in cells("c")]
    assert changes(cells("a", "b"), [*cells("b"), *moved]) == [
        "task 'u' is new",
        "strategy 'c' is new",
        "strategy 'a' is left out",
        "seed 7 is new",
    ]


def test_long_values_are_cut() -> None:
    (line,) = changes(cells("a", prompt="x" * 500), cells("a", prompt="y" * 500))
    assert len(line) < 200


def example(name: str, answer: str) -> Example:
    return Example(id=name, problem=Problem(text=name), answer=answer)


def test_problems_that_changed_came_and_went_are_counted_by_task() -> None:
    was = [example(name, "1") for name in "abcd"]
    now = [example("a", "1"), *(example(name, "2") for name in "bc"), example("e", "1")]
    before = {"t": {each.id: each.digest for each in was}, "gone": {"x": "y"}}
    assert changed_problems(before, {"t": was}) == []
    assert changed_problems(before, {"t": now, "new": was}) == [
        "problems of task 't': 2 changed (solved anew), 1 added, "
        "1 removed (left out of the figures)"
    ]
    assert changed_problems(before, {"t": was[:3]}) == [
        "problems of task 't': 1 removed (left out of the figures)"
    ]
    assert changed_problems({}, {"t": was}) == []
