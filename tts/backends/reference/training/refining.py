"""Lessons in building on drafts: distil, refine, merge, and the summary of parallel paths."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.responses import Branch, Piece, branch, worked
from tts.backends.reference.training.solutions import Draft, wrong_number
from tts.backends.reference.training.world import Problem

__all__ = ["distil", "merge", "notes", "refine", "think"]

_BOUNDS = (64, 128, 256, 512)
_PATHS = 8
_VOTERS = 3


def notes(problem: Problem, drafts: Sequence[Draft]) -> str:
    """Return the needed values that a draft has right, in the order in which names come up."""
    names = dict.fromkeys(name for each in drafts for name in each.values)
    found = {
        name: problem.values[name]
        for name in names
        if name in problem.needed
        and any(each.values.get(name) == problem.values[name] for each in drafts)
    }
    return "\n".join(f"{name} = {value}" for name, value in found.items()) or "nothing holds"


def distil(case: Case, rng: random.Random) -> Branch:
    """Note the values that hold, out of several drafts."""
    drafts = case.several(rng, rng.choice((2, 3, 4, 4)))
    texts = [each.text for each in drafts]
    prompt = ask("distil", rng, problem=case.problem.text, drafts=texts, bound=rng.choice(_BOUNDS))
    return branch(prompt, notes(case.problem, drafts))


def refine(case: Case, rng: random.Random) -> Branch:
    """Solve with notes, some of which are missing or wrong."""
    problem, order = case.problem, case.problem.order(rng)
    values = _noted(case, rng) or _invented(problem, order, rng)
    workspace = "\n".join(f"{name} = {value}" for name, value in values.items()) or "nothing holds"
    prompt = ask("refine", rng, problem=problem.text, workspace=workspace)
    return Branch(prompt, worked(problem, order))


def _invented(problem: Problem, order: Sequence[str], rng: random.Random) -> dict[str, int]:
    values = {name: problem.values[name] for name in order if rng.random() < 0.85}
    if values and rng.random() < 0.4:
        name = rng.choice(list(values))
        values[name] = wrong_number(rng, values[name], list(values.values()))
    return values


def _noted(case: Case, rng: random.Random) -> dict[str, int]:
    """Return what most of some own drafts say, right or wrong; empty without own drafts."""
    if len(case.own) < _VOTERS or rng.random() < 0.3:
        return {}
    drafts = rng.sample(case.own, _VOTERS)
    said: dict[str, list[int]] = {}
    for each in drafts:
        for name, value in each.values.items():
            said.setdefault(name, []).append(value)
    return {
        name: max(values, key=values.count)
        for name, values in said.items()
        if name in case.problem.needed
    }


def merge(case: Case, rng: random.Random) -> Branch:
    """Write a right solution out of several attempts, in the order of a right one if any."""
    problem = case.problem
    drafts = case.several(rng, rng.choice((1, 2, 3, 4, 4)))
    prompt = ask("merge", rng, problem=problem.text, attempts=[each.text for each in drafts])
    order = next((found for each in drafts if (found := _order(problem, each))), None)
    return Branch(prompt, worked(problem, order or problem.order(rng)))


def _order(problem: Problem, made: Draft) -> list[str] | None:
    """Return the order of a draft that is right in all lines and has none too many."""
    names = [line.partition(" = ")[0] for line in made.lines]
    fits = made.right and not made.faulty and sorted(names) == sorted(problem.needed)
    return names if fits else None


def think(case: Case, rng: random.Random) -> tuple[Branch, list[Branch], Branch]:
    """Return a shared prompt, paths that do not see one another, and the summary that sees all."""
    problem = case.problem
    prompt = Branch(ask("solve", rng, problem=problem.text), ())
    count = rng.choice((2, 2, 3, 4))
    paths = []
    for number in sorted(rng.sample(range(1, _PATHS + 1), count)):
        tag = Piece(f"<think{number}>", 0.0, control=True)
        made = case.draft(rng, 0.4)
        right = worked(problem, problem.order(rng)) if rng.random() < 0.5 else None
        paths.append(Branch("", (tag, *(right or (Piece(made.text, 0.0),)))))
    tag = Piece("<summary>", 0.0, control=True)
    return prompt, paths, Branch("", (tag, Piece(f"Answer: {problem.answer}", 2.0)))
