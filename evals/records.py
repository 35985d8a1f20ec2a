"""What the harness keeps of every solved problem, and what reports and statistics read."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal

from pydantic import Field

from tts.backends.base import Price
from tts.evals.tries import Earlier, Spent, Tried
from tts.frozen import Frozen
from tts.ledger import RunUsage
from tts.problem import StoppedBy

__all__ = ["Cell", "Draw", "Row"]


_PLAIN: Final = frozenset({"self_consistency", "best_of_n"})


class Cell(Frozen):
    """A place in the grid of a suite: what is solved, by what, under which budget and seed."""

    task: str
    """The task's title."""
    model: str
    """The suite's name for its models."""
    strategy: str
    """The suite's label for the strategy."""
    budget: str = "none"
    """The label of the budget or of the equal cost, such as `total=4096`."""
    seed: int = 0
    is_baseline: bool = False
    """Whether it is the self-consistency that the others of its task are compared with."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Task, models, strategy and budget in full, as YAML would have them."""

    @property
    def is_pool(self) -> bool:
        """True if its samples are independent draws of one prompt, all of them kept."""
        use = self.settings.get("strategy", {}).get("use", self.strategy)
        return self.is_baseline or use in _PLAIN

    @property
    def is_vote(self) -> bool:
        """True if it pays for nothing but its samples, and for what failed on the way."""
        use = self.settings.get("strategy", {}).get("use", self.strategy)
        return self.is_baseline or use == "self_consistency"

    @property
    def key(self) -> str:
        """A digest of all of it: where it changes, nothing of an earlier run counts."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Draw(Frozen):
    """One candidate of a solved problem, by ticket."""

    answer: str | None
    key: str | None
    """The canonical answer under which votes count it: equivalent ones share that of the first."""
    right: bool | None
    """None: the checker failed."""
    score: float | None = None
    mean_logprob: float | None = None
    """Natural logarithm a token, where the model tells it."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """The part of the prompt's tokens that came from the provider's prefix cache."""
    delay_tokens: int = 0
    """Tokens of failed attempts of its call, which were charged before it came."""
    text: str = ""


class Row(Frozen):
    """A solved problem: one line of the run store."""

    cell: str
    """The cell's key."""
    example: str
    """The example's id."""
    digest: str = ""
    """The example's: where the problem has changed since, the row is of another one."""
    problem: str
    """Its text."""
    right_answer: str
    extra: dict[str, Any] = Field(default_factory=dict)
    """The example's own, such as `level`."""
    status: Literal["ok", "budget_exhausted", "no_answer", "failed"]
    """`failed`: the run raised an error; `error` tells it. Partial costs are in `usage`."""
    error: str | None = None
    answer: str | None = None
    text: str = ""
    right: bool | None = None
    """None: there was an answer and the checker failed. Without an answer it is False,
    unless the checker judges the text."""
    check_failure: str | None = None
    """Why the checker failed."""
    usage: RunUsage = RunUsage.model_construct()
    """The cost of all calls, those a resumed run found in its own cache included at their
    first price: what a user without a cache pays."""
    price: Price | None = None
    """Of the model that plays `solve`; None where that is unknown."""
    stopped_by: StoppedBy | None = None
    parse_failures: int = 0
    failed_calls: int = 0
    replayed_calls: int = 0
    """Calls that were answered from those kept by the run: by other strategies, or before it was
    resumed. Where there are some, `usage.wall_seconds` is too short to say anything;
    `usage.critical_seconds` counts them with the time that they took when they were made."""
    replayed_tokens: int = 0
    """Tokens of `usage` that these calls were charged with, and that nobody paid again."""
    replayed_usd: float | None = 0.0
    """Dollars likewise; None where a price is unknown."""
    earlier: Earlier = Earlier.model_construct()
    """Tries before this one, which failed or could not be judged. Not in `usage`."""
    tried: Tried | None = None
    """All tries and their calls, for the next one; only while the row is open."""
    draws: tuple[Draw, ...] = ()
    trace: tuple[dict[str, Any], ...] = ()
    """The records of the trace, prompts and texts included where the suite keeps them."""
    finished_at: str = ""
    """UTC, ISO 8601."""

    @property
    def costs(self) -> RunUsage:
        """What the problem has cost: `usage`, and what earlier tries have lost.

        Critical tokens and seconds are those of this try, which began anew.
        """
        lost, usage = self.earlier.lost, self.usage
        if lost == Spent():
            return usage
        total = usage.total_tokens + lost.total_tokens
        both = Spent.of(usage).plus(lost).model_dump()
        return usage.model_copy(update={**both, "total_tokens": total})

    @property
    def is_open(self) -> bool:
        """True if another try may bring a verdict: the run failed, or the checker did."""
        unjudged = self.check_failure is not None or any(draw.right is None for draw in self.draws)
        return self.status == "failed" or unjudged
