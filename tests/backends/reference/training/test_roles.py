"""What each role asks and teaches."""

import random
import re
from collections import Counter
from itertools import product
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tts
from tts.backends.reference.training import drills
from tts.backends.reference.training.countdown import draw_countdown, reaches
from tts.backends.reference.training.instructions import SHIPPED, WORDINGS, ask
from tts.backends.reference.training.roles import ROLES, Branch
from tts.backends.reference.training.solutions import answer_of
from tts.backends.reference.training.world import Problem, draw_problem

SEEDS = st.integers(0, 10**6)
PROBLEM = "Facts:\nkeys = 4\nhats = keys + 3\nQuestion: hats?"
PROBLEMS = st.builds(
    lambda seed, level, form: draw_problem(random.Random(seed), level, form, "train"),
    SEEDS,
    st.integers(1, 6),
    st.sampled_from(["facts", "sentences"]),
)
DRILLS = (drills.facts, drills.trace, drills.unlock)


def response(made: Branch) -> str:
    text = " ".join(piece.text for piece in made.pieces if not piece.control)
    return text.replace("\n ", "\n")


@pytest.mark.parametrize("name", ROLES)
@given(problem=PROBLEMS, seed=SEEDS)
def test_a_prompt_begins_with_its_problem(name: str, problem: Problem, seed: int) -> None:
    made = ROLES[name][0](problem, random.Random(seed))
    assert made.prompt.startswith(problem.text)
    assert any(piece.learn for piece in made.pieces)
    assert made == ROLES[name][0](problem, random.Random(seed))


@pytest.mark.parametrize("role", SHIPPED)
def test_the_strategies_own_template_leads(role: str) -> None:
    file = Path(tts.__file__).parent / "strategies" / "prompts" / f"{role}.j2"
    source = file.read_text(encoding="utf-8")
    template = jinja2.Template(source, trim_blocks=True, lstrip_blocks=True)
    variables = {"problem": PROBLEM, "solution": "Answer: 7", "solutions": ["Answer: 7"] * 2}
    expected = template.render(variables).strip()
    asked = Counter(ask(role, random.Random(seed), **variables) for seed in range(300))
    assert asked.most_common(1)[0][0] == expected
    assert asked[expected] > 120
    assert len(asked) == len(WORDINGS[role]) + 1


@pytest.mark.parametrize("role", WORDINGS)
def test_wordings_are_distinct_and_put_the_problem_first(role: str) -> None:
    wordings = WORDINGS[role]
    assert len(set(wordings)) == len(wordings)
    assert len({"{{ problem }}" in wording for wording in wordings}) == 1
    assert all(wording.find("{{ problem }}") <= 0 for wording in wordings)


@given(problem=PROBLEMS, seed=SEEDS, name=st.sampled_from(["solve", "follow", "refine", "think"]))
def test_solving_roles_end_in_the_answer(problem: Problem, seed: int, name: str) -> None:
    made = ROLES[name][0](problem, random.Random(seed))
    assert response(made).endswith(f"\nAnswer: {problem.answer}")
    assert made.pieces[-1].learn


@given(problem=PROBLEMS, seed=SEEDS, name=st.sampled_from(["solve", "outline", "decompose"]))
def test_choices_are_the_quantities_that_are_ready(problem: Problem, seed: int, name: str) -> None:
    done: list[str] = []
    for piece in ROLES[name][0](problem, random.Random(seed)).pieces:
        if not piece.choices:
            continue
        step = re.findall(r"[a-z]+", piece.text)[0]
        ready = {
            each
            for each in problem.needed
            if each not in done and all(need in done for need in problem.needs(each))
        }
        assert set(piece.choices) == ready
        assert step in ready
        done.append(step)
    assert set(problem.needed) - set(done) <= {problem.target}


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_verdict_agrees_with_the_answer(problem: Problem, seed: int) -> None:
    for name in ("verify", "check"):
        made = ROLES[name][0](problem, random.Random(seed))
        stated = answer_of(made.prompt[len(problem.text) :])
        assert made.pieces[0].text.endswith("Yes" if stated == problem.answer else "No")


def test_verdicts_are_balanced() -> None:
    rng = random.Random(5)
    problem = draw_problem(rng, 3, "facts", "train")
    said = Counter(response(ROLES["verify"][0](problem, rng)) for _ in range(400))
    assert set(said) == {"Yes", "No"}
    assert abs(said["Yes"] - 200) < 50


@given(problem=PROBLEMS, seed=SEEDS)
def test_the_selected_solution_is_the_only_right_one(problem: Problem, seed: int) -> None:
    made = ROLES["select"][0](problem, random.Random(seed))
    stated = re.findall(r"Answer: (\d+)", made.prompt[len(problem.text) :])
    right = [index + 1 for index, each in enumerate(stated) if int(each) == problem.answer]
    assert [str(index) for index in right] == [response(made)]


@given(problem=PROBLEMS, seed=SEEDS)
def test_marks_are_learned_and_lines_are_not(problem: Problem, seed: int) -> None:
    made = ROLES["mark"][0](problem, random.Random(seed))
    assert [piece.learn for piece in made.pieces] == [False, True] * (len(made.pieces) // 2)
    assert {piece.text for piece in made.pieces[1::2]} <= {"ok\n", "wrong\n"}


@given(problem=PROBLEMS, seed=SEEDS)
def test_planned_calls_execute_to_the_answer(problem: Problem, seed: int) -> None:
    results: list[int] = []
    *calls, last = response(ROLES["calls"][0](problem, random.Random(seed))).split("\n")
    for number, call in enumerate(calls, 1):
        found = re.fullmatch(rf"{number}\. (add|sub|mul)\((\$?\d+), (\$?\d+)\)", call)
        assert found
        one, two = (
            results[int(side[1:]) - 1] if side[0] == "$" else int(side)
            for side in found.group(2, 3)
        )
        results.append({"add": one + two, "sub": one - two, "mul": one * two}[found[1]])
    assert last == f"{len(calls) + 1}. join()"
    assert results[-1] == problem.answer


@given(problem=PROBLEMS, seed=SEEDS)
def test_steps_need_only_earlier_steps(problem: Problem, seed: int) -> None:
    lines = response(ROLES["decompose"][0](problem, random.Random(seed))).split("\n")
    for number, each in enumerate(lines, 1):
        found = re.fullmatch(rf"{number}\. ([a-z]+) needs ([\d ]+|none)", each)
        assert found
        needs = [int(need) for need in re.findall(r"\d+", found[2])]
        names = {lines[need - 1].split()[1] for need in needs}
        assert names == set(problem.needs(found[1]))
        assert all(need < number for need in needs)


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_trace_names_all_that_is_needed(problem: Problem, seed: int) -> None:
    lines = response(drills.trace(problem, random.Random(seed))).split("\n")
    assert sorted(each.split()[0] for each in lines if each.strip()) == sorted(problem.needed)


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_quantity_is_unlocked_once_by_the_last_it_needs(problem: Problem, seed: int) -> None:
    known: set[str] = set()
    unlocked: list[str] = []
    pieces = drills.unlock(problem, random.Random(seed)).pieces
    for name, fresh in zip(pieces[::2], pieces[1::2], strict=True):
        known.add(name.text)
        for each in re.findall(r"[a-z]+", fresh.text.replace("none", "")):
            assert name.text in problem.needs(each)
            assert known.issuperset(problem.needs(each))
            unlocked.append(each)
    assert known == set(problem.definitions)
    computed = [name for name in problem.definitions if problem.needs(name)]
    assert sorted(unlocked) == sorted(computed)


@given(problem=PROBLEMS, seed=SEEDS)
def test_drills_teach_only_what_is_to_be_known(problem: Problem, seed: int) -> None:
    for drill, again in product(DRILLS, [random.Random(seed)]):
        made = drill(problem, again)
        assert made.prompt.startswith(problem.text)
        assert all(piece.learn == (" " in piece.text.strip()) for piece in made.pieces)


@given(seed=SEEDS)
def test_sums_are_right_where_they_are_learned(seed: int) -> None:
    made = drills.sums(random.Random(seed))
    if made.prompt == "Sums:":
        for asked, result in zip(made.pieces[::2], made.pieces[1::2], strict=True):
            left, sign, right, _ = asked.text.split()
            one, two = int(left), int(right)
            assert {"+": one + two, "-": one - two, "*": one * two}[sign] == int(result.text)


@given(seed=SEEDS)
def test_puzzles_are_solved_and_judged_exactly(seed: int) -> None:
    rng = random.Random(seed)
    puzzle = draw_countdown(rng, "train")
    made = drills.puzzle(puzzle, rng, "train")
    assert made.prompt.startswith(puzzle.text)
    if response(made) not in ("Yes", "No"):
        assert reaches(puzzle, response(made))
        return
    found = re.search(r"Solution:\n(.*\n.*)\n", made.prompt)
    assert found
    assert reaches(puzzle, found[1]) == (response(made) == "Yes")
