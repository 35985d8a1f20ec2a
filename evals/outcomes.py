"""What runs of a grid have in common: budgets that changed nothing, and what a rule has saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tts.evals.comparing import Solved
from tts.evals.figures import Saving, Summary
from tts.evals.records import Cell, Row

__all__ = ["Outcomes"]

_Place = tuple[str, str, str, str]
"""Task, model, strategy and budget."""


@dataclass(slots=True)
class Outcomes:
    """Remembers of each strategy's runs a digest of all outcomes, and their tokens."""

    _digests: dict[_Place, bytes] = field(default_factory=dict)
    _tokens: dict[_Place, dict[tuple[int, str], int]] = field(default_factory=dict)
    _settings: dict[_Place, dict[str, Any]] = field(default_factory=dict)

    def add(self, cell: Cell, rows: Sequence[Solved]) -> None:
        """Take in the rows of a strategy's cells, which differ in their seeds alone."""
        place = (cell.task, cell.model, cell.strategy, cell.budget)
        told = sorted(json.dumps([seed, *_outcome(row)]) for seed, row in rows)
        if told:
            self._digests[place] = blake2b("\n".join(told).encode()).digest()
        self._tokens[place] = {
            (seed, row.example): row.costs.total_tokens
            for seed, row in rows
            if row.status != "failed"
        }
        self._settings[place] = cell.settings.get("strategy", {})

    def same_as(self, cell: Cell) -> str | None:
        """Return the first budget under which a strategy did the very same on every problem.

        None where that is its own.
        """
        own = (cell.task, cell.model, cell.strategy, cell.budget)
        for place, digest in self._digests.items():
            if place[:3] == own[:3] and digest == self._digests.get(own):
                return None if place == own else place[3]
        return None

    def saving(self, of: Summary) -> Saving | None:
        """Return what a strategy's rule has saved; None without a rule, or nothing to compare."""
        own = (of.task, of.model, of.strategy, of.budget)
        full = self._without_rule(own)
        if full is None:
            return None
        mine, theirs = self._tokens[own], self._tokens[full]
        both = mine.keys() & theirs.keys()
        if not both:
            return None
        spent, in_full = (sum(tokens[key] for key in both) for tokens in (mine, theirs))
        return Saving(full[2], full[3], len(both), spent, in_full)

    def _without_rule(self, own: _Place) -> _Place | None:
        """Return the same strategy with the rule `never`: with the same budget, or with none."""
        settings = self._settings[own]
        if "stop" not in settings or _is_never(settings["stop"]):
            return None
        rest = {key: value for key, value in settings.items() if key != "stop"}
        found = {
            place[3]: place
            for place, others in self._settings.items()
            if place[:2] == own[:2]
            and _is_never(others.get("stop"))
            and {key: value for key, value in others.items() if key != "stop"} == rest
        }
        return found.get(own[3], found.get("none"))


def _is_never(rule: Any) -> bool:
    return isinstance(rule, dict) and rule.get("use") == "never"


def _outcome(row: Row) -> list[Any]:
    """Return all that a row says of its run but seconds and who made which call."""
    costs = row.costs
    return [
        row.example,
        row.digest,
        row.status,
        row.error,
        row.answer,
        row.right,
        None if row.stopped_by is None else row.stopped_by.rule,
        [costs.calls, costs.prompt_tokens, costs.completion_tokens],
        [costs.total_tokens, costs.critical_tokens, costs.cost_usd],
        [[draw.key, draw.right] for draw in row.draws],
    ]
