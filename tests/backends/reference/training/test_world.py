"""The generator is exact: answers follow from the text, as read by an evaluator of its own."""

import random
import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends.reference.training.countdown import Countdown, draw_countdown, reaches, ways
from tts.backends.reference.training.wording import FORMS, Form
from tts.backends.reference.training.world import (
    Problem,
    Split,
    apply,
    draw_operation,
    draw_problem,
    is_hard,
    split_of,
)

LEVELS = range(1, 7)
SEEDS = st.integers(0, 10**6)
SIGNS = {"plus": "+", "minus": "-", "times": "*"}

# What a sentence says: the group that is the quantity, and its formula.
SENTENCES = (
    (r"There are (\d+) (\w+)\.", (2, "{1}")),
    (r"(?:I have|We count) (\d+) (\w+)\.", (2, "{1}")),
    (r"The number of (\w+) is (\d+)\.", (1, "{2}")),
    (r"There are (\d+) more (\w+) than (\w+)\.", (2, "{3} + {1}")),
    (r"There are (\d+) fewer (\w+) than (\w+)\.", (2, "{3} - {1}")),
    (r"There are (\d+) times as many (\w+) as (\w+)\.", (2, "{1} * {3}")),
    (r"The number of (\w+) is (\d+) more than the number of (\w+)\.", (1, "{3} + {2}")),
    (r"The number of (\w+) is (\d+) less than the number of (\w+)\.", (1, "{3} - {2}")),
    (r"There are as many (\w+) as (\w+) and (\w+) together\.", (1, "{2} + {3}")),
    (r"The number of (\w+) is the sum of (\w+) and (\w+)\.", (1, "{2} + {3}")),
    (r"The number of (\w+) is the difference of (\w+) and (\w+)\.", (1, "{2} - {3}")),
    (r"The number of (\w+) is the product of (\w+) and (\w+)\.", (1, "{2} * {3}")),
)
GENERIC = re.compile(
    r"The number of (\w+) is (?:the number of )?(\w+) (plus|minus|times) (?:the number of )?(\w+)\."
)


def read_facts(text: str) -> tuple[dict[str, str], str]:
    head, *facts, question = text.split("\n")
    assert head == "Facts:"
    found = re.fullmatch(r"Question: (\w+)\?", question)
    assert found
    return dict(fact.split(" = ", 1) for fact in facts), found[1]


def read_sentence(sentence: str) -> tuple[str, str]:
    for pattern, (name, formula) in SENTENCES:
        if found := re.fullmatch(pattern, sentence):
            return found[name], formula.format(sentence, *found.groups())
    generic = GENERIC.fullmatch(sentence)
    assert generic, sentence
    return generic[1], f"{generic[2]} {SIGNS[generic[3]]} {generic[4]}"


def read_sentences(text: str) -> tuple[dict[str, str], str]:
    *told, question = re.split(r"(?<=\.)\s", text)
    found = re.fullmatch(r"(?:How many|What is the number of|Find the number of) (\w+).*", question)
    assert found, question
    formulas = dict(map(read_sentence, told))
    assert len(formulas) == len(told)
    return formulas, found[1]


def value(formulas: dict[str, str], term: str) -> int:
    if term.isdigit():
        return int(term)
    formula = formulas[term]
    if formula.isdigit():
        return int(formula)
    left, sign, right = formula.split()
    one, two = value(formulas, left), value(formulas, right)
    return {"+": one + two, "-": one - two, "*": one * two}[sign]


def needed(formulas: dict[str, str], target: str) -> set[str]:
    names = set(re.findall(r"[a-z]+", formulas[target]))
    return {target}.union(*(needed(formulas, name) for name in names))


def read(problem: Problem) -> tuple[dict[str, str], str]:
    return (read_facts if problem.form == "facts" else read_sentences)(problem.text)


@pytest.mark.parametrize(("form", "level"), list(product(FORMS, LEVELS)))
@given(seed=SEEDS)
def test_the_answer_follows_from_the_text(form: Form, level: int, seed: int) -> None:
    problem = draw_problem(random.Random(seed), level, form, "train")
    formulas, target = read(problem)
    assert target == problem.target
    assert formulas == {name: str(made) for name, made in problem.definitions.items()}
    assert value(formulas, target) == problem.answer
    assert {name: value(formulas, name) for name in formulas} == problem.values
    assert set(problem.needed) == needed(formulas, target)


@given(seed=SEEDS, level=st.sampled_from(LEVELS), form=st.sampled_from(FORMS))
def test_the_level_is_the_number_of_operations_needed(seed: int, level: int, form: Form) -> None:
    problem = draw_problem(random.Random(seed), level, form, "test")
    formulas, target = read(problem)
    assert sum(not formulas[name].isdigit() for name in needed(formulas, target)) == level
    assert all(0 <= each <= 99 for each in problem.values.values())


@given(seed=SEEDS, level=st.sampled_from(LEVELS))
def test_an_order_computes_what_it_needs_first(seed: int, level: int) -> None:
    rng = random.Random(seed)
    problem = draw_problem(rng, level, "facts", "train")
    order = problem.order(rng)
    assert sorted(order) == sorted(problem.needed)
    for place, name in enumerate(order):
        assert set(problem.needs(name)) <= set(order[:place])


def test_the_same_seed_draws_the_same_problem() -> None:
    for form in FORMS:
        one, two = (draw_problem(random.Random(7), 4, form, "train") for _ in range(2))
        assert one == two
        assert one.text == two.text


def said(problem: Problem) -> tuple[frozenset[tuple[str, str]], str]:
    formulas, target = read(problem)
    return frozenset(formulas.items()), target


def test_splits_are_disjoint_whatever_the_seed_and_the_wording() -> None:
    splits: tuple[Split, ...] = ("train", "test")
    drawn = {
        split: {
            said(draw_problem(random.Random(seed), 1, form, split))
            for seed in range(150)
            for form in FORMS
        }
        for split in splits
    }
    assert not drawn["train"] & drawn["test"]


def test_a_digest_decides_the_split() -> None:
    shares = [split_of("problem", number) for number in range(2000)]
    assert 0.08 < shares.count("test") / len(shares) < 0.17
    assert shares == [split_of("problem", number) for number in range(2000)]


@given(seed=SEEDS)
def test_drawn_operations_stay_in_range(seed: int) -> None:
    left, sign, right = draw_operation(random.Random(seed))
    assert 0 <= apply(left, sign, right) <= 99


@pytest.mark.parametrize(
    ("operation", "hard"),
    [
        ((5, "+", 5), True),
        ((14, "+", 5), False),
        ((12, "-", 5), True),
        ((15, "-", 5), False),
        ((12, "*", 3), True),
        ((12, "*", 1), False),
        ((9, "*", 9), False),
    ],
)
def test_carrying_borrowing_and_two_digits_are_hard(
    operation: tuple[int, str, int], hard: bool
) -> None:
    assert is_hard(*operation) == hard


@given(seed=SEEDS)
def test_every_way_reaches_the_target(seed: int) -> None:
    puzzle = draw_countdown(random.Random(seed), "train")
    assert ways(puzzle)
    assert all(reaches(puzzle, way) for way in ways(puzzle))


@pytest.mark.parametrize(
    "text",
    [
        "2 + 3 = 5",
        "2 + 3 = 6\n6 * 4 = 24",
        "2 + 2 = 4\n4 * 4 = 16",
        "2 * 3 = 6\n6 + 4 = 10",
        "twenty",
    ],
)
def test_what_does_not_reach_the_target_is_refused(text: str) -> None:
    assert not reaches(Countdown((2, 3, 4), 20), text)


def test_what_reaches_the_target_is_accepted() -> None:
    assert reaches(Countdown((2, 3, 4), 20), "2 + 3 = 5\n5 * 4 = 20\n")


def test_countdown_splits_are_disjoint() -> None:
    splits: tuple[Split, ...] = ("train", "test")
    drawn = {
        split: {
            (tuple(sorted(puzzle.numbers)), puzzle.target)
            for seed in range(300)
            for puzzle in [draw_countdown(random.Random(seed), split)]
        }
        for split in splits
    }
    assert not drawn["train"] & drawn["test"]
