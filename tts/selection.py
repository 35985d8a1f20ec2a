"""Choosing among candidates by number: a judge returns an index, never retyped content.

What is shown is shuffled with the run's generator. A reply that names no candidate is counted as
a parse failure; whoever asked then falls back to the vote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from tts.drafts import as_draft
from tts.errors import BackendError
from tts.problem import Candidate, Problem
from tts.run import Run
from tts.votes import Tally

__all__ = ["choose", "named_index", "select", "tournament"]

_NAMED = r"(?:solution|plan|response|candidate|attempt|option)"
_NUMBER = r"(?<![\d.,-])(\d{1,6})(?![\d%]|[.,]\d)"  # a whole number
_GAP = r"[^\w\n-]{0,20}"
_WRONG = r"\W{0,4}(?:(?:is|are|looks|seems)\s)?\s?(?:wrong|incorrect|not\b)"
_MARKED = re.compile(
    rf"\b(?:judge?ment|(?:answer|choice)(?=[ ]?(?:is\b)?{_GAP}{_NAMED})|"
    rf"(?:best|correct)(?:[ ]{_NAMED})?)\b[ ]?(?:is\b)?{_GAP}(?:{_NAMED}[ ]?)?{_GAP}{_NUMBER}",
    re.IGNORECASE,
)
_LABELLED = re.compile(rf"\b{_NAMED}[\W_]{{0,4}}?{_NUMBER}(?!{_WRONG})", re.IGNORECASE)
_FIRST = re.compile(
    rf"[\W_]{{0,20}}?{_NUMBER}(?!\s*(?:[,/&+*=]|-\s*\d|or\b|and\b)\s*\d?)(?!{_WRONG})",
    re.IGNORECASE,
)
_LAST = re.compile(rf"(?:^|\n)\W{{0,20}}(?:answer|choice){_GAP}{_NUMBER}\W*\Z", re.IGNORECASE)
_ANY = re.compile(_NUMBER)


def named_index(reply: str, count: int) -> int | None:
    """Return the place, from 0, of the one among `count` solutions that a reply names.

    That is the last one announced ("Judgment: 2"), else the only one called a solution and not
    called wrong, else the answer it ends with, else the one it begins with, else the only number
    it mentions. Prose that names several, none, or one out of range gives None.

    >>> named_index("Solution 2 is right, since 3 are left", 4)
    1
    >>> named_index("Both 1 and 2 look wrong.", 4) is None
    True
    """
    marked, labelled = _MARKED.findall(reply), set(_LABELLED.findall(reply))
    first, last, mentioned = _FIRST.match(reply), _LAST.search(reply), set(_ANY.findall(reply))
    if marked:
        number = int(marked[-1])
    elif labelled:
        number = int(labelled.pop()) if len(labelled) == 1 else 0
    elif last is not None:
        number = int(last[1])
    elif first is not None and not re.search(rf"\b{_NAMED}\b", reply, re.IGNORECASE):
        number = int(first[1])
    elif len(mentioned) == 1 and not re.search(_WRONG, reply, re.IGNORECASE):
        number = int(mentioned.pop())
    else:
        return None
    return number - 1 if 1 <= number <= count else None


async def choose(
    run: Run, problem: Problem, texts: Sequence[str], *, role: str = "select"
) -> int | None:
    """Let a role choose among texts, shown shuffled. One call.

    Returns:
        The index of the chosen text; None if the call failed, or its reply named none of them.

    Raises:
        BudgetExceeded: If the budget does not allow the call.
    """
    order = run.rng.sample(range(len(texts)), len(texts))
    prompt = run.prompt(role, problem=problem, solutions=[texts[index] for index in order])
    try:
        completion = await run.generate(prompt, temperature=0.0)
    except BackendError:
        return None
    place = named_index(completion.visible, len(order))
    if place is None:
        run.count_parse_failure()
        return None
    return order[place]


async def select(
    run: Run, problem: Problem, candidates: Sequence[Candidate], *, bound: int
) -> Candidate | None:
    """Return the candidate that the role `select` chooses; without a choice, the vote's.

    One call; none where all give the same answer. Candidates without an answer are left out.

    Args:
        run: Makes the call.
        problem: What they answer.
        candidates: The field.
        bound: Most tokens of each that the judge is shown.

    Returns:
        None only if no candidate has an answer.

    Raises:
        BudgetExceeded: If the budget does not allow the call.
    """
    field = [candidate for candidate in candidates if candidate.answer is not None]
    votes = Tally.of(field)
    if votes.leader is None or len(votes.standings) == 1:
        return None if votes.leader is None else votes.leader.best
    chosen = await choose(run, problem, [as_draft(run, one, bound) for one in field])
    return votes.leader.best if chosen is None else field[chosen]


async def tournament(
    run: Run, problem: Problem, candidates: Sequence[Candidate], *, window: int, bound: int
) -> Candidate | None:
    """Let windows of candidates send their winners on, until one is left.

    At most `sum_r ceil(n / window^r)` calls, `ceil(log_window n)` deep. Windows are drawn at
    random and judged at once; each falls back to its own vote.

    Args:
        run: Makes the calls.
        problem: What they answer.
        candidates: Those without an answer are left out.
        window: Most candidates that a judge is shown; at least 2.
        bound: Most tokens of each.

    Returns:
        The winner; None only if no candidate has an answer.

    Raises:
        BudgetExceeded: If the budget does not allow a call.
    """
    left = [candidate for candidate in candidates if candidate.answer is not None]
    run.rng.shuffle(left)
    judge = partial(select, run, problem, bound=bound)
    while len(left) > 1:
        windows = [left[at : at + window] for at in range(0, len(left), window)]
        winners = await run.map(judge, windows)
        left = [winner for winner in winners if winner is not None]
    return left[0] if left else None
