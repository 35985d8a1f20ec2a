"""What the model is taught to do with a problem: every role with its share of the lessons."""

from __future__ import annotations

import random

from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.judging import critique, select, verify
from tts.backends.reference.training.planning import (
    calls,
    decompose,
    difficulty,
    guided,
    join,
    outline,
    step,
)
from tts.backends.reference.training.refining import distil, merge, refine
from tts.backends.reference.training.responses import Branch, Role, branch, worked

__all__ = ["JUDGING", "ROLES"]


def _solve(case: Case, rng: random.Random) -> Branch:
    prompt = ask("solve", rng, problem=case.problem.text)
    return Branch(prompt, worked(case.problem, case.problem.order(rng)))


def _direct(case: Case, rng: random.Random) -> Branch:
    answer = f"Answer: {case.problem.answer}"
    return branch(ask("direct", rng, problem=case.problem.text), answer)


ROLES: dict[str, tuple[Role, float]] = {
    "solve": (_solve, 34),
    "guided": (guided, 7),
    "outline": (outline, 7),
    "step": (step, 4),
    "decompose": (decompose, 5),
    "calls": (calls, 6),
    "join": (join, 2),
    "difficulty": (difficulty, 3),
    "direct": (_direct, 1),
    "verify": (verify, 5),
    "critique": (critique, 7),
    "refine": (refine, 3),
    "select": (select, 2),
    "distil": (distil, 2),
    "merge": (merge, 2),
}
"""Every role with its weight in the mix."""

JUDGING: dict[str, float] = {
    "critique": 8,
    "verify": 7,
    "merge": 4,
    "distil": 4,
    "select": 4,
    "solve": 3,
    "guided": 1,
}
"""The mix where the model's own drafts are at hand: what they can teach."""
