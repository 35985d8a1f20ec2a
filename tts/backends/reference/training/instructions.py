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

SHIPPED = (
    "solve",
    "direct",
    "outline",
    "guided",
    "decompose",
    "difficulty",
    "verify",
    "critique",
    "select",
    "distil",
    "refine",
    "merge",
    "plan",
    "join",
    "act",
    "replan",
    "repair",
)
_SHIPPED_SHARE = 0.55

_DRAFTS = (
    "{{ problem }}\n{% for draft in drafts %}\nDraft {{ loop.index }}:\n{{ draft }}\n{% endfor %}\n"
)
_ATTEMPTS = (
    "{{ problem }}\n{% for attempt in attempts %}\nAttempt {{ loop.index }}:\n{{ attempt }}\n"
    "{% endfor %}\n"
)
_SOLUTIONS = (
    "{{ problem }}\n{% for solution in solutions %}\nSolution {{ loop.index }}:\n{{ solution }}\n"
    "{% endfor %}\n"
)
_LINES = (
    "{{ problem }}\n\nSolution:\n{% for line in solution.splitlines() %}\n"
    "{{ loop.index }}. {{ line }}\n{% endfor %}\n"
)
_CALLS = "{{ problem }}\n\n{% for call in calls %}\n{{ loop.index }}. {{ call }}\n{% endfor %}\n"
_MADE = (
    "\nCalls and results:\n{% for call in calls %}\n{{ loop.index }}. {{ call }}\n{% endfor %}\n"
)
_PLANNED = (
    "\nPlan:\n{% for call in plan %}\n{{ call }}\n{% endfor %}\n\nWrong:\n"
    "{% for line in problems %}\n{{ line }}\n{% endfor %}\n"
)
_TOOLS = "{{ problem }}\n\nFunctions:\n{% for tool in tools %}\n{{ tool }}\n{% endfor %}\n"

WORDINGS: dict[str, tuple[str, ...]] = {
    "solve": (
        "{{ problem }}\nSolve step by step.",
        "{{ problem }}",
        '{{ problem }}\n\nWork step by step and end with "Answer: " and the number.',
        "{{ problem }}\n\nShow each step, then write the answer.",
        "{{ problem }}\n\nThink step by step.",
    ),
    "direct": (
        "{{ problem }}\nAnswer at once, without steps.",
        "{{ problem }}\n\nReply with the answer alone.",
        "{{ problem }}\n\nDo not show steps. Write only the answer.",
    ),
    "outline": (
        "{{ problem }}\n\nGive {{ count }} different outlines, one a line.",
        "{{ problem }}\n\nOutline {{ count }} ways to solve this, numbered, without calculating.",
        "{{ problem }}\n\nPlan {{ count }} different solutions. Write one outline a line.",
    ),
    "guided": (
        "{{ problem }}\n\nOutline: {{ outline }}\n\nSolve step by step along the outline.",
        "{{ problem }}\n\nPlan: {{ outline }}\n\nFollow the plan and solve step by step.",
        "{{ problem }}\n\nUse this outline: {{ outline }}\n\nSolve step by step.",
    ),
    "decompose": (
        "{{ problem }}\n\nSplit into numbered sub-problems with what they need in brackets.",
        "{{ problem }}\n\nList the sub-problems, numbered, each with the numbers it needs.",
        "{{ problem }}\n\nBreak the problem into numbered parts, with what each needs in brackets.",
    ),
    "difficulty": (
        "{{ problem }}\n\nHow hard is this problem, from 0 to 1?",
        "{{ problem }}\n\nRate from 0 (easy) to 1 (hard).",
        "{{ problem }}\n\nHow hard is it? Reply with a number between 0 and 1.",
    ),
    "verify": (
        "{{ problem }}\nSolution:\n{{ solution }}\nIs the solution correct? Yes or No.",
        "{{ problem }}\n\nSolution:\n{{ solution }}\n\nIs it correct? Yes or No.",
        "{{ problem }}\n\nSolution:\n{{ solution }}\n\nIs the answer correct? Reply Yes or No.",
    ),
    "critique": (
        _LINES + "\nCheck each step: do it again, then write ok or wrong.",
        _LINES + "\nFind the first mistake. Do each step again and mark it ok or wrong.",
        _LINES + '\nCheck step by step. End with "Correct: Yes" or "Correct: No".',
    ),
    "select": (
        _SOLUTIONS + "\nWhich solution is correct? Reply with the number.",
        _SOLUTIONS + "\nWhich is correct?",
        _SOLUTIONS + "\nChoose the best solution. Reply with its number alone.",
    ),
    "distil": (
        _DRAFTS + "\nNote the facts that hold.",
        _DRAFTS + "\nKeep the values that are right, one a line.",
        _DRAFTS + "\nWrite short notes of what is correct. Do not give an answer.",
    ),
    "refine": (
        "{{ problem }}\n\nNotes:\n{{ workspace }}\n\nUse the notes and solve again.",
        "{{ problem }}\n\nNotes:\n{{ workspace }}\n\nSolve step by step with the notes.",
        "{{ problem }}\n\nNotes:\n{{ workspace }}\n\nCheck the notes, then solve step by step.",
    ),
    "merge": (
        _ATTEMPTS + "\nCompare the attempts and solve again, step by step.",
        _ATTEMPTS + "\nSome attempts may be wrong. Give a correct solution.",
        _ATTEMPTS + "\nCombine the attempts into one better solution.",
    ),
    "plan": (
        _TOOLS + "\nPlan function calls, numbered. End with join().",
        _TOOLS + "\nWrite the calls that solve this, one a line. $1 is the result of call 1.",
        "{{ problem }}\n\nPlan function calls.",
    ),
    "join": (
        _CALLS + '\nReply "Finish: " and the answer, or "Replan: " and what is missing.',
        _CALLS + "\nDo the results answer the problem? Reply Finish or Replan.",
        _CALLS + "\nFinish or Replan?",
    ),
    "act": (
        _TOOLS + _MADE + "\nWrite the next call, or Finish and the answer.",
        _TOOLS + _MADE + '\nReply with the next function call or "Finish: " and the answer.',
        _TOOLS + _MADE + "\nWhat is the next call? If there is none, finish with the answer.",
    ),
    "replan": (
        _TOOLS + _MADE + "\nMissing: {{ missing }}\n\nPlan what is needed, from {{ next }} on.",
        _TOOLS + _MADE + "\n{{ missing }}. Plan on, numbered from {{ next }}. End with join().",
        _TOOLS + _MADE + "\nMissing: {{ missing }}\n\nWrite more calls, from number {{ next }}.",
    ),
    "repair": (
        _TOOLS + _PLANNED + "\nWrite these lines correctly, numbered from {{ next }}.",
        _TOOLS + _PLANNED + "\nCorrect the plan: only what it lacks, from {{ next }} on.",
        _TOOLS + _PLANNED + "\nWrite what is missing, from number {{ next }}. End with join().",
    ),
    "facts": ("{{ problem }}\nRepeat the facts.",),
    "trace": ("{{ problem }}\nTrace what the answer needs.",),
    "unlock": ("{{ problem }}\nSay what each value makes ready.",),
    "reach": (
        "{{ problem }}\nReach the target.",
        "{{ problem }}\n\nReach the target.",
        "{{ problem }}\n\nUse each number once to reach the target.",
    ),
    "sums": ("Sums:",),
    "sum_marks": ("Mark each line ok or wrong.",),
    "compute": ("Compute {{ sum }}.", "What is {{ sum }}?"),
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
