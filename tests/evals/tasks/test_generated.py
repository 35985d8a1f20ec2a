"""What the generated tasks promise, against slower second versions."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.evals.tasks.files import written
from tts import ConfigError
from tts.backends.reference.training.world import split_of as side_of_training
from tts.evals.tasks.calls import Calls
from tts.evals.tasks.countdown import Countdown, reached
from tts.evals.tasks.drawn import identity, split_of
from tts.evals.tasks.game24 import Game24
from tts.evals.tasks.graphs import Graphs
from tts.evals.tasks.schedule import Schedule, shortest


def test_levels_of_graphs_are_the_operations_and_forms_differ() -> None:
    for form in ("facts", "sentences"):
        for example in Graphs(level=4, form=form, problems=5).examples():
            assert example.extra["level"] == 4 and 1 <= example.extra["depth"] <= 4
            assert example.problem.text.startswith("Facts:") == (form == "facts")


@pytest.mark.long
def test_other_seed_draws_other_graphs_that_keep_to_the_split() -> None:
    one, two = (Graphs(seed=seed, problems=40).examples() for seed in (0, 1))
    develop = Graphs(seed=1, split="develop", problems=40).examples()
    assert {each.id for each in one} != {each.id for each in two}
    assert not {each.id for each in one} & {each.id for each in develop}


def test_shares_of_splits_are_as_asked() -> None:
    ids = [identity(number) for number in range(4000)]
    for share in (0.0, 0.2, 0.5):
        found = sum(split_of(id_, share) == "develop" for id_ in ids) / len(ids)
        assert abs(found - share) < 0.03


def test_countdown_of_three_was_never_taught() -> None:
    for example in Countdown(problems=20).examples():
        numbers = sorted(example.extra["numbers"])
        assert side_of_training(numbers, example.extra["target"]) == "test"


def test_countdown_takes_every_sign_that_its_text_does_not_forbid() -> None:
    for example in Countdown(numbers=4, problems=20).examples():
        assert example.extra["signs"] == "+-*/"
        assert example.problem.text.endswith("\n\nUse each number once to reach the target.")


@given(numbers=st.lists(st.integers(1, 13), min_size=3, max_size=3), target=st.integers(1, 60))
def test_search_finds_a_way_exactly_where_one_exists(numbers: list[int], target: int) -> None:
    assert (reached(tuple(numbers), target) is not None) == _exists(numbers, target)


def _exists(numbers: list[int], target: int) -> bool:
    def apply(one: Fraction, sign: str, two: Fraction) -> Fraction | None:
        if sign == "/":
            return one / two if two else None
        return {"+": one + two, "-": one - two, "*": one * two}[sign]

    for one, two, three in permutations(map(Fraction, numbers)):
        for first, second in product("+-*/", repeat=2):
            middle = apply(one, first, two)
            if middle is not None:
                ends = (apply(middle, second, three), apply(three, second, middle))
                if target in ends:
                    return True
    return False


def test_game_of_24_has_its_1362_puzzles() -> None:
    from itertools import combinations_with_replacement

    some = list(combinations_with_replacement(range(1, 14), 4))[::20]
    share = sum(reached(numbers, 24) is not None for numbers in some) / len(some)
    assert abs(share - 1362 / 1820) < 0.1


def test_game_of_24_reads_a_file_from_a_line_on(tmp_path: Path) -> None:
    rows = [{"puzzle": text, "human_solved_rate": 0.9} for text in ("1 1 4 6", "1 1 11 11")]
    path = written(tmp_path, rows)
    (example,) = Game24(path=path, first=2, develop=0.0).examples()
    assert example.extra["numbers"] == [1, 1, 11, 11]
    assert example.extra["human_solved_rate"] == 0.9


@pytest.mark.parametrize("puzzle", ["1 1 1 1", "1 2 3", "a b c d"])
def test_game_of_24_refuses_what_is_no_puzzle(tmp_path: Path, puzzle: str) -> None:
    with pytest.raises(ConfigError, match=r"lines\.jsonl:1: "):
        Game24(path=written(tmp_path, [{"puzzle": puzzle}])).examples()


def test_more_problems_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="hardly more than"):
        Countdown(highest=4, problems=5000).examples()


@pytest.mark.long
def test_calls_know_their_longest_chain() -> None:
    task = Calls(level=5, parallel=1, mul_seconds=2.0, problems=10)
    for example in task.examples():
        extra = example.extra
        assert extra["calls"] == 5
        assert extra["best_makespan"] < extra["serial"]
        assert extra["serial"] == 5 + example_products(example.problem.text, extra)


def example_products(text: str, extra: dict[str, float]) -> float:
    """Products among the needed calls, each of which takes a second more."""
    lines = dict(line.split(" = ") for line in text.splitlines() if " = " in line)
    needed, left = set(), [text.rpartition("Question: ")[2].rstrip("?")]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left += [word for word in lines[name].split() if word in lines]
    return sum("*" in lines[name] for name in needed)


def test_calls_refuse_more_parallelism_than_a_level_has() -> None:
    with pytest.raises(ValidationError, match="at most 1"):
        Calls(level=3, parallel=2)


@given(st.data())
def test_shortest_schedule_equals_the_best_of_all_priority_lists(data: st.DataObject) -> None:
    names = "ABCDE"[: data.draw(st.integers(1, 5))]
    seconds = {name: data.draw(st.integers(1, 5)) for name in names}
    needs = {
        name: tuple(data.draw(st.sets(st.sampled_from(names[:place])))) if place else ()
        for place, name in enumerate(names)
    }
    workers = data.draw(st.integers(1, 3))
    # List schedules in which a call never overtakes an earlier one of the list contain an optimum.
    assert shortest(seconds, needs, workers) == min(
        _in_order(order, seconds, needs, workers) for order in permutations(names)
    )


def _in_order(
    order: tuple[str, ...],
    seconds: dict[str, int],
    needs: dict[str, tuple[str, ...]],
    workers: int,
) -> float:
    ends: dict[str, float] = {}
    free = [0.0] * workers
    for name in order:
        if not all(need in ends for need in needs[name]):
            return float("inf")
        worker = free.index(min(free))
        start = max([free[worker], *(ends[need] for need in needs[name])])
        ends[name] = free[worker] = start + seconds[name]
    return max(ends.values())


def test_schedule_tells_its_question_in_good_english() -> None:
    (one,) = Schedule(calls=3, workers=1, problems=1).examples()
    assert "There is one worker, which runs one call" in one.problem.text
    (two,) = Schedule(calls=3, workers=2, problems=1).examples()
    assert "There are 2 workers, each of which runs one call" in two.problem.text
    assert one.extra["best_makespan"] == one.extra["serial"]
