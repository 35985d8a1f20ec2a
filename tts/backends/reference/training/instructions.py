"""What each role is asked: the strategies' own templates, and other wordings of the same.

A role whose template ships with the strategies is trained on that text first of all, so the two
cannot drift apart; the other wordings keep the model from hanging on the exact words.
"""

from __future__ import annotations

import random
from functools import lru_cache
from importlib.resources import files
from typing import Any

from tts.prompts import Prompts

__all__ = ["SHIPPED", "WORDINGS", "ask", "shipped"]

SHIPPED = ("solve", "verify", "select")
_SHIPPED_SHARE = 0.55

WORDINGS: dict[str, tuple[str, ...]] = {
    "solve": (
        "{{ problem }}\nSolve step by step.",
        "{{ problem }}",
        '{{ problem }}\n\nWork step by step and end with "Answer: " and the number.',
        "{{ problem }}\n\nShow each step, then write the answer.",
        "{{ problem }}\n\nThink step by step.",
    ),
    "verify": (
        "{{ problem }}\nSolution:\n{{ solution }}\nIs the solution correct? Yes or No.",
        "{{ problem }}\n\nSolution:\n{{ solution }}\n\nIs it correct? Yes or No.",
        "{{ problem }}\n\nSolution:\n{{ solution }}\n\nIs the answer correct? Reply Yes or No.",
    ),
    "select": (
        "{{ problem }}\n{% for solution in solutions %}\nSolution {{ loop.index }}:\n"
        "{{ solution }}\n{% endfor %}\nWhich solution is correct? Reply with the number.",
        "{{ problem }}\n{% for solution in solutions %}\nSolution {{ loop.index }}:\n"
        "{{ solution }}\n{% endfor %}\nWhich is correct?",
    ),
    "mark": (
        "{{ problem }}\nMark each line ok or wrong.",
        "{{ problem }}\n\nMark each line ok or wrong.",
        "{{ problem }}\n\nCheck each step: ok or wrong.",
    ),
    "check": (
        "{{ problem }}\nSolution:\n{{ solution }}\nCheck each line, then say Yes or No.",
        "{{ problem }}\n\nSolution:\n{{ solution }}\n\nCheck each line, then reply Yes or No.",
    ),
    "direct": (
        "{{ problem }}\nAnswer at once, without steps.",
        "{{ problem }}\n\nReply with the answer alone.",
    ),
    "outline": (
        "{{ problem }}\nPlan an order for the quantities.",
        "{{ problem }}\n\nPlan an order for the steps.",
    ),
    "follow": (
        "{{ problem }}\nSolve step by step in this order: {{ order }}.",
        "{{ problem }}\n\nPlan: {{ order }}\n\nSolve step by step in this order.",
    ),
    "decompose": (
        "{{ problem }}\nSplit into numbered sub-problems with their needs.",
        "{{ problem }}\n\nSplit into numbered steps with their needs.",
    ),
    "judge": (
        "{{ problem }}\nIs this problem easy or hard?",
        "{{ problem }}\n\nIs this problem easy or hard?",
    ),
    "distil": (
        "{{ problem }}\n{% for draft in drafts %}\nDraft {{ loop.index }}:\n{{ draft }}\n"
        "{% endfor %}\nKeep the values that hold.",
    ),
    "refine": (
        "{{ problem }}\nNotes:\n{{ notes }}\nUse the notes and solve again.",
        "{{ problem }}\n\nNotes:\n{{ notes }}\n\nUse the notes and solve again.",
    ),
    "calls": (
        "{{ problem }}\nPlan function calls.",
        "{{ problem }}\n\nPlan function calls.",
    ),
    "think": ("{{ problem }}\nThink in paths, then give a summary.",),
    "facts": ("{{ problem }}\nRepeat the facts.",),
    "trace": ("{{ problem }}\nTrace what the answer needs.",),
    "unlock": ("{{ problem }}\nSay what each value makes ready.",),
    "reach": (
        "{{ problem }}\nReach the target.",
        "{{ problem }}\n\nReach the target.",
    ),
    "sums": ("Sums:",),
    "sum_marks": ("Mark each line ok or wrong.",),
    "compute": ("Compute {{ sum }}.", "What is {{ sum }}?"),
    "judge_sum": ("Is {{ sum }} easy or hard?",),
}


@lru_cache(maxsize=1)
def shipped() -> Prompts:
    """Return the templates that the strategies ship with."""
    return Prompts([files("tts.strategies") / "prompts"])


@lru_cache(maxsize=256)
def _prompts(template: str) -> Prompts:
    return Prompts([], {"": template})


def ask(role: str, rng: random.Random, **variables: Any) -> str:
    """Return the prompt of a role in a wording drawn at random."""
    if role in SHIPPED and rng.random() < _SHIPPED_SHARE:
        return shipped().render(role, **variables).messages[0].content
    template = rng.choice(WORDINGS[role])
    return _prompts(template).render("", **variables).messages[0].content
