"""The calls of one solve: planned by a model, run as a graph, shown to the next model.

Earlier rounds stay in the same graph, so their results can be referred to. What a result says is
data: it is shown and handed on, and never read as a plan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

from tts.errors import BackendError, PlanError, ToolError
from tts.executed import Executed, Step, as_text
from tts.graph import Node, TaskGraph, open_graph
from tts.ledger import Clock
from tts.plans import Bound, Call, Item, Join, NativeReader, PlanReader, Problem, bind
from tts.prompts import Prompt
from tts.run import Run
from tts.spans import Span
from tts.tools import Tool

__all__ = ["PlanForm", "Planning", "open_planning"]

PlanForm: TypeAlias = Literal["written", "native"]
"""A plan is `written` as text, or made of the provider's own parallel function calls."""


class Planning:
    """The plan of one solve as it grows. Made by `open_planning`.

    Attributes:
        problems: What of the present round's plan could not be carried out.
        executed: How all calls stand; after the scope was left, how they ended.
    """

    def __init__(
        self, run: Run, tools: Mapping[str, Tool], most_calls: int, form: PlanForm = "written"
    ) -> None:
        self._run, self._tools, self._most = run, tools, most_calls
        self._ask = self._written if form == "written" else self._native
        self._bound: dict[int, Bound] = {}
        self._steps: dict[int, Step] = {}
        self._lines: dict[int, tuple[Span, Clock]] = {}
        self._graph: TaskGraph
        self._is_full = False
        self.problems: list[Problem] = []
        self.executed = Executed()

    @property
    def next_id(self) -> int:
        """The number that the next call should have."""
        return max(self._bound, default=0) + 1

    @property
    def signatures(self) -> tuple[str, ...]:
        """The tools as they stand in a prompt."""
        return tuple(tool.signature for tool in self._tools.values())

    async def follow(self, prompt: Prompt, **options: Any) -> int:
        """Ask for a plan and start its calls. One call.

        Each call starts the moment it is complete. The planner of a written plan is told to stop
        once its plan has ended. What it wrote before it failed is carried out; the failure is a
        problem of the plan.

        Args:
            prompt: Asks for the plan.
            options: As `run.generate`.

        Returns:
            How many calls were new: not of an earlier round in other words.

        Raises:
            BackendError: If the model refuses for good, so that asking again is no help.
            BudgetExceeded: If the budget does not allow the call.
        """
        before, self.problems, self._is_full = self._done(), [], False
        known = {number: bound.call.text for number, bound in self._bound.items()}
        has_end = await self._ask(prompt, known, options)
        new = {_made(bound) for number, bound in self._bound.items() if number not in known}
        added = len(new - before)
        if not (added or has_end or self.problems):
            self._refuse(Problem(1, "there is no call and no join()", ""))
        return added

    async def _written(
        self, prompt: Prompt, known: Mapping[int, str], options: Mapping[str, Any]
    ) -> bool:
        """Read a plan while it streams; return whether it came to its end."""
        reader = PlanReader(known, self._tools)
        try:
            async with self._run.stream(prompt, **options) as pieces:
                async for piece in pieces:
                    self._take(reader.feed(piece))
                    if reader.is_over or self._is_full:
                        break
                said = pieces.completion
            self._take(reader.close(is_cut=said is not None and said.finish_reason == "length"))
        except BackendError as error:
            if not error.retryable:
                raise
            if reader.is_over:  # all that was needed is there
                return reader.has_join
            self._take(reader.close(is_cut=True))
            self._refuse(Problem(0, f"the planner failed: {error}", ""))
        return reader.has_join

    async def _native(
        self, prompt: Prompt, known: Mapping[int, str], options: Mapping[str, Any]
    ) -> bool:
        """Offer the functions, take calls as they come; return whether the model had its say."""
        tools = tuple(tool.definition for tool in self._tools.values())
        reader = NativeReader(self.next_id, known)
        try:
            async with self._run.stream(prompt, tools=tools, **options) as pieces:
                async for call in pieces.calls:
                    self._take(reader.feed(call))
                said = pieces.completion
        except BackendError as error:
            if not error.retryable:
                raise
            self._refuse(Problem(0, f"the planner failed: {error}", ""))
            return False
        calls = said.tool_calls if said is not None else ()
        is_cut = said is not None and said.finish_reason == "length" and bool(calls)
        for call in calls[reader.count : len(calls) - is_cut]:
            self._take(reader.feed(call))
        if is_cut:
            self._refuse(Problem(0, "the calls were cut off: make fewer", ""))
        return bool(calls or (said is not None and said.visible))

    async def settle(self) -> None:
        """Wait until every call has come to its end.

        What they asked of models stands on the clock as if they had begun when the plan was there.
        """
        await self._graph.settle()
        spent = {number: line.clock.since(began) for number, (line, began) in self._lines.items()}
        if not spent:
            return
        self._lines.clear()
        ends: dict[int, Clock] = {}
        for step in self._graph.executed.steps:
            own = spent.get(step.id if step.same_as is None else step.same_as, Clock())
            before = max((ends[one] for one in step.after), default=Clock())
            ends[step.id] = before.plus(own)
        self._run.follow(self._run.clock.plus(max(ends.values())))

    def lines(self) -> list[str]:
        """Return the calls with their results, one a line, as a model is shown them."""
        return [
            f"{_one_line(bound.call.text)} = {self._result(number)}"
            for number, bound in self._bound.items()
        ]

    def results(self) -> dict[int, Any]:
        """Return the results, by the places of their lines from 1; failed calls have none."""
        found = {}
        for place, number in enumerate(self._bound, 1):
            outcome = self._graph.outcome(number)
            if not isinstance(outcome, Exception):
                found[place] = outcome
        return found

    def numbered(self, *, with_results: bool = False) -> list[str]:
        """Return the calls with their numbers, by default without results."""
        told = (
            self.lines() if with_results else [_one_line(b.call.text) for b in self._bound.values()]
        )
        return [f"{number}. {text}" for number, text in zip(self._bound, told, strict=True)]

    def _done(self) -> set[str]:
        """Return the calls that need not be made again: those that have not failed."""
        return {
            _made(bound)
            for number, bound in self._bound.items()
            if not isinstance(self._graph.outcome(number), Exception)
        }

    def _result(self, number: int) -> str:
        result = self._graph.outcome(number)
        if isinstance(result, ToolError):
            return _one_line(f"error: {result.reason}")
        if isinstance(result, Exception):
            return _one_line(f"error: {as_text(result)}")
        return _one_line(self._bound[number].tool.show(result))

    def _take(self, items: Sequence[Item]) -> None:
        for item in items:
            if self._is_full:
                return
            if isinstance(item, Call):
                self._add(item)
            elif isinstance(item, Problem):
                self._refuse(item)
            elif isinstance(item, Join):
                self._run.record("plan", calls=len(self._bound), line=item.line)

    def _add(self, call: Call) -> None:
        try:
            bound = bind(call, self._tools)
            lost = [one for one in bound.after if one not in self._graph]
            if lost:
                raise PlanError(call.line, f"${lost[0]} stands for a call that was not planned")
            if len(self._bound) >= self._most:
                self._is_full = True
                raise PlanError(call.line, f"more than {self._most} calls: make do with those")
        except PlanError as error:
            self._refuse(Problem(error.line, error.reason, f"{call.id}. {call.text}"))
            return
        if call.is_repaired:
            self._run.record("plan_repaired", line=call.line, text=call.text)
        self._bound[call.id] = bound
        self._graph.add(self._node(bound))

    def _refuse(self, problem: Problem) -> None:
        self._run.record(
            "plan_problem",
            line=problem.line,
            reason=problem.reason,
            text=problem.text,
            is_fatal=problem.is_fatal,
        )
        if problem.is_fatal:
            self.problems.append(problem)
            self._run.count_parse_failure()

    def _node(self, bound: Bound) -> Node:
        tool, line = bound.tool, None
        if tool.run_as:
            line = self._run.branch(f"call{bound.call.id}")
            self._lines[bound.call.id] = (line, line.clock)

        async def work(results: Mapping[int, Any]) -> Any:
            return await self._run.call(tool, bound.filled(results), line)

        def key(results: Mapping[int, Any]) -> Hashable | None:
            try:
                return bound.key(bound.filled(results))
            except ToolError:  # the work will say so
                return None

        return Node(
            id=bound.call.id,
            work=work,
            after=bound.after,
            name=tool.name,
            text=bound.call.text,
            lanes=(*tool.lanes, *self._models(tool)),
            key=key,
            is_pure=tool.is_pure,
            attempts=tool.attempts,
        )

    def _models(self, tool: Tool) -> tuple[str, ...]:
        """Return the lanes of the models that a tool asks."""
        return tuple(dict.fromkeys(f"model:{self._run.slots(role)[0]}" for role in tool.roles))

    def _on_change(self, step: Step) -> None:
        self._steps[step.id] = step
        self._run.show(self._steps.values())


@asynccontextmanager
async def open_planning(
    run: Run,
    tools: Mapping[str, Tool],
    *,
    slots: int = 16,
    most_calls: int = 200,
    form: PlanForm = "written",
) -> AsyncIterator[Planning]:
    """Open the plan of a solve; leaving the block cancels calls that still run.

    Args:
        run: Asks the models and calls the tools.
        tools: By name.
        slots: Most calls under way at once.
        most_calls: Most calls that may be planned.
        form: How the planner says what to call.
    """
    planning = Planning(run, tools, most_calls, form)
    limits = {lane: tool.concurrency or 1 for tool in tools.values() for lane in tool.lanes}
    asked = {run.slots(role) for tool in tools.values() for role in tool.roles}
    limits |= {f"model:{name}": most for name, most in asked}
    graph: TaskGraph | None = None
    opened = run.now
    try:
        async with open_graph(
            slots=slots,
            limits=limits,
            on_change=planning._on_change if run.is_watched else None,
            shown=_shown,
            rest=run.rest,
        ) as graph:
            planning._graph = graph
            yield planning
    finally:
        if graph is not None:
            planning.executed = graph.executed
            run.record("graph", opened=opened, **planning.executed.report())


def _made(bound: Bound) -> str:
    """Return what a call comes to, whatever its number."""
    return f"{bound.tool.name} {bound.arguments!r}"


def _shown(value: Any) -> str:
    text = as_text(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _one_line(text: str) -> str:
    return " ".join(line for part in text.splitlines() if (line := part.strip()))
