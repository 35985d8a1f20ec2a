"""What a run has found so far, so that it can answer whenever it must."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

from tts.messages import Completion
from tts.problem import Candidate, Exhausted, Problem, Solution, StoppedBy
from tts.votes import Tally

__all__ = ["Findings"]

_MOST_REASONS = 8
_Place: TypeAlias = tuple[tuple[int | str, ...], int]


class Findings:
    """The candidates of one run, the rules that stopped its samples, what could not be read.

    They are kept by their place in the run, since the order of arrival depends on timing.

    Attributes:
        parse_failures: Answers, judgements and plans that could not be read.
        reasons: Why something could not be read or used, each once.
        failed_functions: Calls of functions that failed, by function.
        notes: What the strategy measured on its way.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.parse_failures = 0
        self.reasons: dict[str, None] = {}
        self.failed_functions: Counter[str] = Counter()
        self.notes: dict[str, float] = {}
        self._seen: list[tuple[_Place, Candidate]] = []
        self._stops: dict[_Place, StoppedBy | None] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def read(self, ticket: int, completion: Completion) -> Candidate:
        """Return the completion with the answer that is found in it."""
        is_complete = completion.finish_reason == "stop"
        answer = self.problem.answer_format.extract(completion.visible, complete=is_complete)
        return Candidate(ticket=ticket, completion=completion, answer=answer)

    def remember(self, candidate: Candidate, path: str) -> Candidate:
        """Keep a candidate of the span with that path, and return it."""
        self._seen.append((_place(path, candidate.ticket), candidate))
        self.parse_failures += candidate.answer is None
        return candidate

    def stop(self, path: str, stopped_by: StoppedBy | None) -> None:
        """Keep why a sample ended; None if it was not stopped."""
        self._stops[_place(path, 0)] = stopped_by

    def adopt(self, child: Findings) -> None:
        """Take over what a child run has counted, and its candidates if they answer our problem."""
        self.count(child)
        if child.problem.asks_same(self.problem):
            self._seen += child._seen

    def count(self, part: Findings) -> None:
        """Add what a part of the run could not read, and what failed in it."""
        self.parse_failures += part.parse_failures
        self.reasons |= part.reasons
        self.failed_functions.update(part.failed_functions)

    def vote(self) -> Solution:
        """Return the answer of the plain vote over all candidates."""
        return Tally.of(self._candidates()).solution()

    def complete(self, solution: Solution, *, exhausted: Exhausted | None) -> Solution:
        """Return a strategy's solution with its status, its stop and all candidates.

        Args:
            solution: What the strategy returned.
            exhausted: What of the budget has refused or ended a call, if anything has.
        """
        update: dict[str, Any] = {"parse_failures": self.parse_failures, "notes": self.notes}
        update["reasons"] = tuple(self.reasons)[:_MOST_REASONS]
        update["failed_functions"] = dict(sorted(self.failed_functions.items()))
        if exhausted is not None:
            update |= {"status": "budget_exhausted", "exhausted": exhausted}
        elif solution.answer is None:
            update["status"] = "no_answer"
        if solution.stopped_by is None and self._stops:
            update["stopped_by"] = self._stops[max(self._stops)]
        update["candidates"] = self._with_scores(solution.candidates)
        return solution.model_copy(update=update)

    def _with_scores(self, returned: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return all candidates that were seen, in the form in which the strategy returned them."""
        scored = {(one.ticket, id(one.completion)): one for one in returned}
        seen = [(one.ticket, id(one.completion)) for one in self._candidates()]
        strangers = [one for key, one in scored.items() if key not in set(seen)]
        known = zip(seen, self._candidates(), strict=True)
        return (*(scored.get(key, one) for key, one in known), *strangers)

    def _candidates(self) -> list[Candidate]:
        return [candidate for _, candidate in sorted(self._seen, key=lambda pair: pair[0])]


def _place(path: str, ticket: int) -> _Place:
    """A sort key: where in the run a call stands."""
    parts = re.split(r"(\d+)", path)
    return tuple(int(part) if part.isdigit() else part for part in parts), ticket
