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
from tts.backends.reference.training.cases import Case, cases_of, pool_problem, save_cases
from tts.backends.reference.training.countdown import draw_countdown, reaches
from tts.backends.reference.training.instructions import SHIPPED, WORDINGS, ask
from tts.backends.reference.training.planning import hardness, outlines
from tts.backends.reference.training.refining import notes
from tts.backends.reference.training.responses import Branch
from tts.backends.reference.training.roles import ROLES
from tts.backends.reference.training.solutions import answer_of, draft, read
from tts.backends.reference.training.world import Operation, Problem, apply, draw_problem

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
    made = ROLES[name](Case(problem), random.Random(seed))
    assert made.prompt.startswith(problem.text)
    assert any(piece.weight for piece in made.pieces)
    assert made == ROLES[name](Case(problem), random.Random(seed))


@pytest.mark.parametrize("role", SHIPPED)
def test_the_strategies_own_template_leads(role: str) -> None:
    file = Path(tts.__file__).parent / "strategies" / "prompts" / f"{role}.j2"
    source = file.read_text(encoding="utf-8")
    template = jinja2.Template(source, trim_blocks=True, lstrip_blocks=True)
    texts = ["Answer: 7"] * 2
    variables: dict[str, object] = {
        "problem": PROBLEM,
        "solution": texts[0],
        "solutions": texts,
        "attempts": texts,
    }
    variables |= {"drafts": texts, "bound": 64, "workspace": "keys = 4", "calls": ["add(4, 3)"]}
    variables |= {"tools": ["add(a, b)"], "outline": "hats from keys", "count": 2}
    variables |= {"plan": ["1. add(4, 3)"], "problems": ["2. ad(1)"], "missing": "x", "next": 2}
    expected = template.render(variables).strip()
    asked = Counter(ask(role, random.Random(seed), **variables) for seed in range(300))
    assert asked.most_common(1)[0][0] == expected
    assert asked[expected] > 120
    assert len(asked) == len(WORDINGS[role]) + 1 >= 4


@pytest.mark.parametrize("role", WORDINGS)
def test_wordings_are_distinct_and_put_the_problem_first(role: str) -> None:
    wordings = WORDINGS[role]
    assert len(set(wordings)) == len(wordings)
    assert len({"{{ problem }}" in wording for wording in wordings}) == 1
    assert all(wording.find("{{ problem }}") <= 0 for wording in wordings)


@given(problem=PROBLEMS, seed=SEEDS, name=st.sampled_from(["solve", "guided", "refine", "merge"]))
def test_solving_roles_end_in_the_answer(problem: Problem, seed: int, name: str) -> None:
    made = ROLES[name](Case(problem), random.Random(seed))
    assert response(made).endswith(f"\nAnswer: {problem.answer}")
    assert made.pieces[-1].weight


@given(problem=PROBLEMS, seed=SEEDS, name=st.sampled_from(["solve", "refine", "merge"]))
def test_choices_are_the_quantities_that_are_ready(problem: Problem, seed: int, name: str) -> None:
    done: list[str] = []
    for piece in ROLES[name](Case(problem), random.Random(seed)).pieces:
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
def test_outlines_can_be_solved_backward(problem: Problem, seed: int) -> None:
    made = ROLES["outline"](Case(problem), random.Random(seed))
    lines = response(made).split("\n")
    assert len({each.partition(". ")[2] for each in lines}) == len(lines)
    for number, each in enumerate(lines, 1):
        found = re.fullmatch(rf"{number}\. (.+)", each)
        assert found
        wanted: list[str] = [problem.target]
        for hop in found[1].split(", "):
            name, *rest = re.findall(r"[a-z]+", hop)
            needs = [word for word in rest if word not in ("from", "and", "given")]
            assert set(needs) == set(problem.needs(name))
            assert name in wanted
            wanted += needs
        assert set(wanted) == set(problem.needed)


@given(problem=PROBLEMS, seed=SEEDS, count=st.integers(1, 8))
def test_outlines_differ(problem: Problem, seed: int, count: int) -> None:
    orders = outlines(problem, random.Random(seed), count)
    assert 1 <= len(orders) == len({tuple(order) for order in orders}) <= count


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_verdict_agrees_with_the_answer(problem: Problem, seed: int) -> None:
    made = ROLES["verify"](Case(problem), random.Random(seed))
    stated = answer_of(made.prompt[len(problem.text) :])
    assert made.pieces[0].text == ("Yes" if stated == problem.answer else "No")


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_critique_ends_at_the_first_mistake(problem: Problem, seed: int) -> None:
    made = ROLES["critique"](Case(problem), random.Random(seed))
    *lines, verdict = response(made).split("\n")
    marks = [each.split()[-1] for each in lines]
    assert marks[:-1] == ["ok"] * (len(marks) - 1)
    right = answer_of(made.prompt) == problem.answer
    assert (marks[-1], verdict) == (("ok", "Correct: Yes") if right else ("wrong", "Correct: No"))


def test_verdicts_are_balanced() -> None:
    rng = random.Random(5)
    problem = draw_problem(rng, 3, "facts", "train")
    said = Counter(response(ROLES["verify"](Case(problem), rng)) for _ in range(400))
    assert set(said) == {"Yes", "No"}
    assert abs(said["Yes"] - 200) < 50


@given(problem=PROBLEMS, seed=SEEDS)
def test_the_selected_solution_is_a_right_one(problem: Problem, seed: int) -> None:
    made = ROLES["select"](Case(problem), random.Random(seed))
    stated = re.findall(r"Answer: (\d+)", made.prompt[len(problem.text) :])
    right = {str(at + 1) for at, each in enumerate(stated) if int(each) == problem.answer}
    assert response(made) in right == set(made.pieces[0].choices)


@given(problem=PROBLEMS, seed=SEEDS)
def test_planned_calls_execute_to_the_answer(problem: Problem, seed: int) -> None:
    results: list[int] = []
    made = response(ROLES["calls"](Case(problem), random.Random(seed)))
    *lines, last = made.split("\n")
    thoughts = [each for each in lines if each.startswith("Thought: ")]
    calls = [each for each in lines if each not in thoughts]
    assert {each.split()[1] for each in thoughts} == set(problem.needed)
    for number, call in enumerate(calls, 1):
        assert f"= ${number}\n{call}\n" in made
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
def test_one_call_at_a_time_leads_to_the_answer(problem: Problem, seed: int) -> None:
    made = ROLES["act"](Case(problem), random.Random(seed))
    said = response(made)
    results = [int(each) for each in re.findall(r"\) = (\d+)\n", made.prompt)]
    if said.startswith("Finish"):
        assert said == f"Finish: {problem.answer}"
        assert results[-1] == problem.answer
        return
    found = re.fullmatch(r"Thought: ([a-z]+) = .+ = (.+)\n(add|sub|mul)\((\d+), (\d+)\)", said)
    assert found
    name, carried, function, one, two = found.groups()
    signs = {"add": "+", "sub": "-", "mul": "*"}
    assert carried == f"{one} {signs[function]} {two}"
    known = {problem.values[each] for each in problem.needed if not problem.needs(each)}
    definition = problem.definitions[name]
    assert isinstance(definition, Operation)
    assert {int(one), int(two)} <= known | {*results} | {
        side for side in (definition.left, definition.right) if isinstance(side, int)
    }
    assert apply(int(one), signs[function], int(two)) == problem.values[name]


@pytest.mark.parametrize("role", ["replan", "repair"])
@given(problem=PROBLEMS, seed=SEEDS)
def test_what_is_planned_again_executes_to_the_answer(
    role: str, problem: Problem, seed: int
) -> None:
    made = ROLES[role](Case(problem), random.Random(seed))
    results: dict[str, int] = {}
    told = made.prompt.partition("These lines")[0].partition("Wrong:")[0] + "\n"
    calls = re.findall(
        r"(\d+)\. (add|sub|mul)\((\$?\d+), (\$?\d+)\)( = error)?", told + response(made)
    )
    kept = [each for each in calls if not each[-1]]
    for number, function, *sides, _ in kept:
        one, two = (results[side[1:]] if side[0] == "$" else int(side) for side in sides)
        assert number not in results
        results[number] = {"add": one + two, "sub": one - two, "mul": one * two}[function]
    assert results[kept[-1][0]] == problem.answer
    assert re.search(r"\n\d+\. join\(\)$", response(made))


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_join_finishes_with_the_answer_or_names_the_call(problem: Problem, seed: int) -> None:
    made = ROLES["join"](Case(problem), random.Random(seed))
    if "= error" in made.prompt:
        assert re.fullmatch(r"Replan: call \d+ failed", response(made))
    else:
        assert response(made) == f"Finish: {problem.answer}"


@given(problem=PROBLEMS, seed=SEEDS)
def test_sub_problems_need_what_the_quantity_needs(problem: Problem, seed: int) -> None:
    lines = response(ROLES["decompose"](Case(problem), random.Random(seed))).split("\n")
    names: list[str] = []
    for number, each in enumerate(lines, 1):
        found = re.fullmatch(rf"{number}\. ([a-z]+) from ([a-z ]+) \[([\d, ]*)\]", each)
        assert found
        assert set(found[2].split(" and ")) == set(problem.needs(found[1]))
        solved = {names[int(need) - 1] for need in re.findall(r"\d+", found[3])}
        assert solved == {need for need in problem.needs(found[1]) if problem.needs(need)}
        names.append(found[1])
    assert sorted(names) == sorted(name for name in problem.needed if problem.needs(name))
    assert names[-1] == problem.target


@given(problem=PROBLEMS)
def test_what_is_given_is_easy_and_more_operations_are_harder(problem: Problem) -> None:
    known = [name for name in problem.needed if name != problem.target]
    last = hardness(problem, problem.target, known)
    assert 0.1 <= last <= 0.2
    assert hardness(problem, problem.target, []) >= min(0.9, problem.operations / 10)


@given(problem=PROBLEMS, seed=SEEDS)
def test_notes_hold_and_say_what_a_draft_has_right(problem: Problem, seed: int) -> None:
    rng = random.Random(seed)
    drafts = [draft(problem, rng, 0.7) for _ in range(3)]
    lines = notes(problem, drafts).split("\n")
    for each in lines if lines != ["nothing holds"] else []:
        name, value = each.split(" = ")
        assert problem.values[name] == int(value)
        assert any(made.values.get(name) == int(value) for made in drafts)


@given(problem=PROBLEMS, seed=SEEDS)
def test_refining_starts_from_what_most_own_drafts_say(problem: Problem, seed: int) -> None:
    own = tuple(draft(problem, random.Random(seed), 0.0) for _ in range(4))
    made = ROLES["refine"](Case(problem, own), random.Random(seed))
    stated = re.findall(r"^([a-z]+) = (\d+)$", made.prompt[len(problem.text) :], re.M)
    assert all(name in problem.needed for name, _ in stated)
    assert response(made).endswith(f"Answer: {problem.answer}")


def test_drafts_are_kept_with_their_problems(tmp_path: Path) -> None:
    path = tmp_path / "drafts.jsonl"
    save_cases(path, (3, 4), [("7", ["Answer: 3", "nonsense"])])
    (case,) = cases_of(path)
    problem = pool_problem("7", (3, 4))
    assert case == Case(problem, (read(problem, "Answer: 3"), read(problem, "nonsense")))
    assert case.draft(random.Random(1)) in case.own
    assert case.of(random.Random(1), right=True).right


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
        assert all(bool(piece.weight) == (" " in piece.text.strip()) for piece in made.pieces)


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
