"""What the model is taught to do with a problem: every role with its share of the lessons."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from tts.backends.reference.training.calling import act, calls, join, repair, replan
from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.instructions import ask
from tts.backends.reference.training.judging import critique, select, verify
from tts.backends.reference.training.planning import (
    decompose,
    difficulty,
    guided,
    outline,
    step,
)
from tts.backends.reference.training.refining import distil, merge, refine
from tts.backends.reference.training.responses import Branch, Role, branch, worked

__all__ = ["JUDGING", "MIXES", "ROLES", "Mix"]


def _solve(case: Case, rng: random.Random) -> Branch:
    prompt = ask("solve", rng, problem=case.problem.text)
    return Branch(prompt, worked(case.problem, case.problem.order(rng)))


def _direct(case: Case, rng: random.Random) -> Branch:
    answer = f"Answer: {case.problem.answer}"
    return branch(ask("direct", rng, problem=case.problem.text), answer)


ROLES: dict[str, Role] = {
    "solve": _solve,
    "guided": guided,
    "outline": outline,
    "step": step,
    "decompose": decompose,
    "calls": calls,
    "join": join,
    "act": act,
    "replan": replan,
    "repair": repair,
    "difficulty": difficulty,
    "direct": _direct,
    "verify": verify,
    "critique": critique,
    "refine": refine,
    "select": select,
    "distil": distil,
    "merge": merge,
}
"""Every role."""


class Mix(NamedTuple):
    """What a run teaches, and how much of it."""

    roles: Mapping[str, float]
    """Weights of the roles."""
    lead: Mapping[str, float]
    """Probabilities of the roles that come first with a problem."""
    puzzles: float = 0.0
    """Share of Countdown."""
    paths: float = 0.0
    """Share of problems solved by parallel paths."""
    drills: float = 1.0
    """How much of the drills of retrieval and order: 1 is all of them."""
    drafts: bool = False
    """Whether the model's own drafts are drawn and judged."""


MIXES: dict[str, Mix] = {
    "all": Mix(
        {
            "solve": 26,
            "guided": 9,
            "outline": 8,
            "step": 6,
            "decompose": 9,
            "calls": 11,
            "join": 3,
            "difficulty": 2,
            "direct": 1,
            "verify": 5,
            "critique": 8,
            "refine": 4,
            "select": 3,
            "distil": 4,
            "merge": 4,
        },
        {"solve": 0.75},
        puzzles=0.06,
        paths=0.06,
        drafts=True,
    ),
    "calling": Mix(
        {"calls": 40, "act": 26, "join": 6, "replan": 8, "repair": 6, "solve": 14},
        {"calls": 0.75},
        drills=0.2,
    ),
    "solving": Mix({"solve": 1}, {"solve": 1}),
}
"""The mixes by name: every role but the callers', the callers' alone, and nothing but solving."""

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
