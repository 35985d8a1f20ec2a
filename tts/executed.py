"""What became of a graph of tasks, as a value, and how far that is from what was possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from tts.frozen import Frozen

__all__ = ["Executed", "State", "Step", "as_text"]

State: TypeAlias = Literal[
    "pending", "ready", "running", "succeeded", "failed", "skipped", "cancelled", "timed_out"
]


def as_text(value: object) -> str:
    """Return a value as text, whatever its class makes of that."""
    try:
        return str(value)
    except Exception:  # a user's class: its bug must not cost the run
        return f"<{type(value).__name__}>"


class Step(Frozen):
    """One node of an executed graph. Times are seconds since the graph was opened."""

    id: int
    name: str = ""
    """What it calls: the name of a tool."""
    text: str = ""
    """The call as it was written."""
    after: tuple[int, ...] = ()
    """The steps whose results it takes."""
    lanes: tuple[str, ...] = ()
    """The limits under which it ran: of its tool, and of the models that this asks."""
    state: State
    emitted: float
    """When it was added to the graph."""
    ready: float | None = None
    """When the last of its inputs existed; None if that never was."""
    started: float | None = None
    finished: float | None = None
    attempts: Annotated[int, Field(ge=0)] = 0
    same_as: int | None = None
    """The step whose identical call answered this one too."""
    held: Annotated[float, Field(ge=0.0)] = 0.0
    """The longest time it kept the event loop to itself: an async tool that blocks shows here."""
    result: str = ""
    """What came out, as a model is shown it."""
    error: str = ""
    """What went wrong, or why it was not run."""

    @property
    def seconds(self) -> float:
        """How long it ran; 0 if it never did."""
        if self.started is None or self.finished is None:
            return 0.0
        return self.finished - self.started


class Executed(Frozen):
    """A graph of tasks after its end.

    Bounds take the observed durations as given: what is left is the executor's own.
    """

    steps: tuple[Step, ...] = ()
    """In the order in which they were added."""
    slots: Annotated[int, Field(ge=1)] | None = None
    """Most steps that could run at once; None is no limit."""
    limits: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Most steps that could run at once in a lane, by its name."""

    @property
    def work(self) -> float:
        """The seconds of all steps, those that shared another's call left out."""
        return sum(step.seconds for step in self.steps if step.same_as is None)

    @property
    def makespan(self) -> float:
        """Seconds from the opening to the end of the last step."""
        return max((step.finished for step in self.steps if step.finished is not None), default=0.0)

    @property
    def streamed_ideal(self) -> float:
        """When the last step could have ended with a slot for each: max over paths of e_k + sum d.

        Source: the latency model of Kim et al. 2023, arXiv:2312.04511, section 3, with each step
        released when it was added.
        """
        return max(self._ends().values(), default=0.0)

    @property
    def critical_path(self) -> float:
        """The longest chain of dependent steps, all released at once."""
        return max(self._ends(released=False).values(), default=0.0)

    @property
    def lower_bound(self) -> float:
        """What no schedule on these slots can beat: max(streamed ideal, first release + work / p).

        The second holds for all steps on the slots, and for those of each lane on its limit.
        Source: Graham 1969, with release times.
        """
        bounds = [self.streamed_ideal]
        if self.slots is not None:
            bounds.append(_packed(self.steps, self.slots))
        for lane, limit in self.limits.items():
            bounds.append(_packed([step for step in self.steps if lane in step.lanes], limit))
        return max(bounds)

    @property
    def overhead(self) -> float:
        """Seconds that the makespan lies above the lower bound."""
        return max(0.0, self.makespan - self.lower_bound)

    def report(self) -> dict[str, Any]:
        """Return the steps and what is computed of them, as JSON."""
        computed = ("work", "critical_path", "makespan", "streamed_ideal", "lower_bound")
        return {
            "slots": self.slots,
            "limits": self.limits,
            **{name: round(getattr(self, name), 6) for name in (*computed, "overhead")},
            "steps": [step.model_dump(mode="json") for step in self.steps],
        }

    def _ends(self, *, released: bool = True) -> dict[int, float]:
        ends: dict[int, float] = {}
        for step in self.steps:  # a step stands after those that it waits for
            release = step.emitted if released else 0.0
            start = max([release, *(ends[one] for one in step.after if one in ends)])
            ends[step.id] = start + (0.0 if step.same_as is not None else step.seconds)
        return ends


def _packed(steps: Sequence[Step], places: int) -> float:
    """Return the first release and the work on so many places; 0 without steps."""
    work = sum(step.seconds for step in steps if step.same_as is None)
    return min((step.emitted for step in steps), default=0.0) + work / places
