"""What is asked (`Problem`), one attempt (`Candidate`), and what is returned (`Solution`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from tts.answers import AnswerFormat, canonical
from tts.errors import BudgetExceeded
from tts.executed import Executed
from tts.frozen import Frozen
from tts.ledger import RunUsage
from tts.messages import Completion, Usage

__all__ = ["Candidate", "Exhausted", "Problem", "Solution", "StoppedBy"]


class Problem(Frozen):
    """A question for a strategy.

    `str(problem)` is its text with its hints, which is how templates write it.
    """

    text: str
    answer_format: AnswerFormat = AnswerFormat.model_construct()
    """How to find the answer in a completion."""
    id: str | int | None = None
    """The caller's name for it; comes back in batch output."""
    hints: tuple[str, ...] = ()
    """What a strategy tells a nested one beside the question; the question stays the same."""

    @field_validator("text")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the problem is empty")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("the problem is no Unicode text: it holds half of a surrogate pair")
        return text.strip()

    def __str__(self) -> str:
        return "\n\n".join((self.text, *self.hints))

    def hinted(self, hint: str) -> Problem:
        """Return the same question with a hint: answers to it are answers to this problem."""
        return self.model_copy(update={"hints": (*self.hints, hint)})

    def asks_same(self, other: Problem) -> bool:
        """True if both ask the same, whatever their hints."""
        return self.model_copy(update={"hints": other.hints}) == other


class Candidate(Frozen):
    """One sampled attempt at a problem."""

    ticket: Annotated[int, Field(ge=0)]
    """Its place in submission order."""
    completion: Completion
    answer: str | None
    """The extracted answer as the model wrote it; None is an abstention, never a vote."""
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """A verifier's score, higher is better; None if it was not scored."""

    @property
    def text(self) -> str:
        """The completion's text."""
        return self.completion.text

    @property
    def visible(self) -> str:
        """The text without raw reasoning, as it may enter another prompt."""
        return self.completion.visible

    @property
    def key(self) -> str | None:
        """The canonical answer, under which it is counted."""
        return None if self.answer is None else canonical(self.answer)


class StoppedBy(Frozen):
    """Why sampling ended before all samples were drawn."""

    rule: str
    reason: str
    guarantee: str | None
    """What is controlled, at which level, over which unit; None: nothing is promised."""


class Exhausted(Frozen):
    """The limit of a budget that ended a run."""

    kind: str
    """`tokens`, `calls`, `usd`, `seconds`, or `interrupt`."""
    spent: float
    """How much of it was spent when the run ended: less than the limit where what was left did not
    hold another call, more where a provider counted more than could be foreseen."""
    limit: float
    """How much of it was allowed."""

    @classmethod
    def by(cls, refusal: BudgetExceeded) -> Self:
        """Return the limit that a refusal names."""
        return cls(kind=refusal.kind, spent=refusal.spent, limit=refusal.limit)


class Solution(Frozen):
    """What a strategy found, what it cost, and why it stopped."""

    answer: str | None
    text: str = ""
    """The completion that carries the answer."""
    status: Literal["ok", "budget_exhausted", "no_answer"] = "ok"
    """`budget_exhausted`: the budget ended the work; the answer is the best found until then."""
    exhausted: Exhausted | None = None
    """The limit that ended the work; with status `ok`, one that was overspent all the same."""
    strategy: str = ""
    stopped_by: StoppedBy | None = None
    usage: RunUsage = RunUsage.model_construct()
    parse_failures: int = 0
    """Judgements and answers that could not be read; each was left out, none taken for wrong."""
    reasons: tuple[str, ...] = ()
    """Why something could not be read or used, in words: the first that differ, at most 8."""
    failed_calls: int = 0
    """Calls that raised a `BackendError`; the vote went on without them."""
    failed_by_role: dict[str, int] = Field(default_factory=dict)
    """The same by the role that asked: who was left without samples, or without a judge."""
    failed_functions: dict[str, int] = Field(default_factory=dict)
    """Calls of functions that failed or were too late, by function; each attempt is one."""
    trace_id: str = ""
    candidates: tuple[Candidate, ...] = ()
    """Every candidate that was drawn and consumed, by ticket."""
    notes: dict[str, float] = Field(default_factory=dict)
    """What the strategy measured on its way, such as `distinct_answers`; see its page."""
    graph: Executed | None = None
    """What became of the calls that a strategy planned; None where it plans none."""

    @classmethod
    def of(cls, candidate: Candidate | None) -> Self:
        """Return the solution that a chosen candidate is; no answer without one."""
        if candidate is None or candidate.answer is None:
            return cls(answer=None, status="no_answer")
        return cls(answer=candidate.answer, text=candidate.text, candidates=(candidate,))

    def report(self) -> dict[str, Any]:
        """Return what `tts run --json` prints: stable keys, without the candidates.

        `graph` is one of them where the strategy plans calls.
        """
        own = ("answer", "text", "status", "exhausted", "strategy", "stopped_by")
        values = self.model_dump(mode="json", exclude={"candidates", "notes"})
        graph = {} if self.graph is None else {"graph": self.graph.report()}
        return {
            **{key: values[key] for key in own},
            "samples": self.samples,
            "usage": values["usage"],
            "parse_failures": self.parse_failures,
            "reasons": list(self.reasons),
            "failed_calls": self.failed_calls,
            "failed_by_role": self.failed_by_role,
            "failed_functions": self.failed_functions,
            "notes": self.notes,
            "trace_id": self.trace_id,
            **graph,
        }

    @property
    def best(self) -> Candidate | None:
        """The candidate that carries the answer, for a vote of solutions; None without answer."""
        if self.answer is None:
            return None
        for candidate in self.candidates:
            if candidate.answer == self.answer and candidate.text == self.text:
                return candidate
        made = Completion(text=self.text, usage=Usage(), model=self.strategy)
        return Candidate(ticket=0, completion=made, answer=self.answer)

    @property
    def samples(self) -> int:
        """Number of candidates drawn and consumed."""
        return len(self.candidates)
