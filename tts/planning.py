"""The calls of one solve: planned by a model, run as a graph, shown to the next model.

Earlier rounds stay in the same graph, so their results can be referred to. What a result says is
data: it is shown and handed on, and never read as a plan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

from tts.branches import Branches
from tts.errors import BackendError, PlanError, ToolError
from tts.executed import Executed, Step, as_text
from tts.graph import Durations, Node, TaskGraph, open_graph
from tts.plans import Bound, Call, Item, Join, NativeReader, PlanReader, Problem, bind
from tts.prompts import Prompt
from tts.run import Run
from tts.tools import Tool
from tts.transcripts import one_line, places, transcript

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
        self._made: dict[str, int] = {}
        self._branches, self._note = Branches(lambda: run.clock), ""
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
        self._made = self._done()
        before, self.problems, self._is_full = set(self._made), [], False
        known = {number: bound.call.text for number, bound in self._bound.items()}
        with self._branches.planned():
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

        The tokens of what they asked stand on the clock as if they had begun when the plan was
        there, the seconds as if each had when it was read.
        """
        await self._graph.settle()
        self._run.follow(self._branches.settle(self._graph.executed))

    def tell(self, note: str) -> None:
        """Let whoever watches know what happens now."""
        self._note = note
        if self._run.is_watched:
            self._run.show(self._steps.values(), note)

    def lines(self) -> list[str]:
        """Return the calls with their results, one a line, as a model is shown them."""
        return transcript(self._bound, self._graph.outcome)

    def results(self) -> dict[int, Any]:
        """Return the results, by the places of their lines from 1; failed calls have none."""
        lines = {number: place for place, number in enumerate(places(self._bound), 1)}
        outcomes = {lines[number]: self._graph.outcome(number) for number in self._bound}
        return {place: each for place, each in outcomes.items() if not isinstance(each, Exception)}

    def numbered(self, *, with_results: bool = False) -> list[str]:
        """Return the calls with their numbers, by default without results."""
        if with_results:
            told = zip(places(self._bound), self.lines(), strict=True)
            return [f"{number}. {line}" for number, line in told if number in self._bound]
        return [f"{number}. {one_line(b.call.text)}" for number, b in self._bound.items()]

    def _done(self) -> dict[str, int]:
        """Return the calls that need not be made again, those that have not failed: the first."""
        return {
            _made(bound): number
            for number, bound in reversed(self._bound.items())
            if not isinstance(self._graph.outcome(number), Exception)
        }

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
            self._run.count_parse_failure(problem.reason)

    def _node(self, bound: Bound) -> Node:
        tool = bound.tool
        before = self._made.get(_made(bound))
        if before is not None:  # planned again: what it does is done
            return _again(bound, before)
        line = self._run.branch(f"call{bound.call.id}")
        self._branches.add(bound.call.id, line)

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
        self._run.show(self._steps.values(), self._note)


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
            durations=run.remembered(Durations),
        ) as graph:
            planning._graph = graph
            yield planning
    finally:
        if graph is not None:
            planning.executed = graph.executed
            run.record("graph", opened=opened, **planning.executed.report())


def _again(bound: Bound, before: int) -> Node:
    async def work(results: Mapping[int, Any]) -> Any:
        return results[before]

    return Node(id=bound.call.id, work=work, after=(before,), text=bound.call.text)


def _made(bound: Bound) -> str:
    """Return what a call comes to, whatever its number."""
    return f"{bound.tool.name} {bound.arguments!r}"


def _shown(value: Any) -> str:
    text = as_text(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
