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
    "solve": (_solve, 26),
    "guided": (guided, 9),
    "outline": (outline, 8),
    "step": (step, 6),
    "decompose": (decompose, 9),
    "calls": (calls, 11),
    "join": (join, 3),
    "difficulty": (difficulty, 2),
    "direct": (_direct, 1),
    "verify": (verify, 5),
    "critique": (critique, 8),
    "refine": (refine, 4),
    "select": (select, 3),
    "distil": (distil, 4),
    "merge": (merge, 4),
}
"""Every role with its weight in the mix."""

JUDGING: dict[str, float] = {
    "critique": 9,
    "verify": 6,
    "merge": 5,
    "distil": 5,
    "refine": 4,
    "select": 3,
    "solve": 3,
    "guided": 1,
}
"""The mix where the model's own drafts are at hand: what they can teach."""
