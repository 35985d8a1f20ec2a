"""LLMCompiler: plan the calls of functions, run them in parallel while the plan still streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from tts.errors import BackendError, BudgetExceeded, ContextLengthExceeded
from tts.planning import PlanForm, Planning, open_planning
from tts.plans import Verdict, read_verdict
from tts.problem import Candidate, Problem, Solution
from tts.prompts import Prompt
from tts.run import Run
from tts.strategy import Strategy
from tts.toolboxes import Toolbox, open_tools

__all__ = ["Compiler"]


class Compiler(Strategy, name="compiler"):
    """Plan calls of functions, run each as soon as its inputs exist, join the results.

    A model with the role `plan` writes numbered calls that refer to one another ($1); one with the
    role `join` finishes with an answer, or asks for more, and `replan` plans on with all results
    at hand. A plan with errors is shown to `repair` once, with the errors. Where that does not
    help, or the rounds are over, the strategy `react` goes on one call at a time.

    Where the results do not fit a prompt the work ends without an answer, with the executed graph.

    Cost: 2 model calls a round (plan, join) and at most 1 for repair; then those of `react`.
    Source: Kim et al. 2023, arXiv:2312.04511, section 3. Other than there, results stay
    addressable over rounds, a failed call fails its dependents only, and equal calls are made once.
    """

    tools: tuple[Toolbox, ...] = ()
    """Where the functions come from."""
    planner: PlanForm = "written"
    """How plans are made: `written` as text that is read while it streams, or `native`, by the
    provider's parallel function calls (role `call`, ability `tools`). In both forms a call starts
    when it is complete, before the plan is."""
    max_rounds: PositiveInt = 2
    """Most plans, the first included."""
    slots: PositiveInt = 16
    """Most calls of functions under way at once."""
    max_calls: PositiveInt = 200
    """Most calls of functions."""
    fallback: bool = True
    """Go on with `react` where planning fails."""
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Of the planner and the joiner."""

    def roles(self) -> tuple[str, ...]:
        """Return the planner's, the joiner's, those of the ways out, and of tools that ask."""
        planners = ("call",) if self.planner == "native" else ("plan", "replan", "repair")
        own = (*planners, "join", "act")
        return tuple(dict.fromkeys((*own, *(role for box in self.tools for role in box.roles()))))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return that a native planner must be able to call functions."""
        return {"call": frozenset({"tools"})} if self.planner == "native" else {}

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Plan, call, join; again if asked to."""
        async with open_tools(self.tools, run.opening) as tools:
            solution: Solution | None = None
            try:
                async with open_planning(
                    run, tools, slots=self.slots, most_calls=self.max_calls, form=self.planner
                ) as planning:
                    solution = await self._rounds(problem, run, planning)
                    history, results = tuple(planning.lines()), planning.results()
            except BudgetExceeded:  # the run knows; what was done shall not be lost
                return Solution(answer=None, graph=planning.executed)
            except ContextLengthExceeded as error:
                if not planning.executed.steps:
                    raise
                run.explain(str(error))
                return Solution(answer=None, graph=planning.executed)
            if solution is None and self.fallback:
                run.record("fallback", strategy="react")
                step_by_step = Strategy.named("react").model_validate(
                    {"tools": tuple(tools.values()), "history": history},
                    context={"results": results},
                )
                solution = await run.solve(step_by_step)
        solution = solution or Solution(answer=None)
        return solution.model_copy(update={"graph": planning.executed})

    async def _rounds(self, problem: Problem, run: Run, planning: Planning) -> Solution | None:
        """Return the joiner's answer; None if planning came to nothing."""
        prompt = self._prompt("plan", run, planning)
        for number in range(1, self.max_rounds + 1):
            added = await planning.follow(prompt, temperature=self.temperature)
            if planning.problems:
                added += await planning.follow(
                    self._prompt("repair", run, planning), temperature=self.temperature
                )
            await planning.settle()
            is_idle = number > 1 and added == 0
            if planning.problems or is_idle:
                return None
            verdict = await self._join(problem, run, planning)
            if isinstance(verdict, Solution) or verdict is None:
                return verdict
            missing = verdict.text or "the answer"
            run.record("replan", round=number, added=added, missing=missing)
            planning.tell(f"plan again: {missing}")
            prompt = self._prompt("replan", run, planning, missing)
        return None

    def _prompt(
        self,
        role: Literal["plan", "repair", "replan"],
        run: Run,
        planning: Planning,
        missing: str = "",
    ) -> Prompt:
        """Ask for the first plan, for what a plan lacks, or for what the joiner misses."""
        told: dict[str, Any] = {"problem": run.problem, "next": planning.next_id}
        problems = [f"{one.text} - {one.reason}".removeprefix(" - ") for one in planning.problems]
        if self.planner == "native":
            calls = planning.numbered(with_results=role == "replan")
            return run.prompt("call", **told, calls=calls, missing=missing, problems=problems)
        told["tools"] = planning.signatures
        if role == "repair":  # shown once, with the errors
            return run.prompt(role, **told, plan=planning.numbered(), problems=problems)
        if role == "replan":
            return run.prompt(role, **told, calls=planning.lines(), missing=missing)
        return run.prompt(role, **told)

    async def _join(
        self, problem: Problem, run: Run, planning: Planning
    ) -> Solution | Verdict | None:
        """Return the joiner's answer, or its wish to plan again; None if it says neither."""
        prompt = run.prompt("join", problem=problem, calls=planning.lines())
        try:
            completion = await run.generate(prompt, temperature=self.temperature)
        except BackendError as error:
            if not error.retryable:
                raise
            return None  # what was called is not lost
        is_whole = completion.finish_reason == "stop"
        verdict = read_verdict(completion.visible, is_whole=is_whole)
        if verdict.action == "replan":
            return verdict
        answer: str | None = verdict.text
        if verdict.action == "unreadable":  # a number in prose may be anything
            answer = problem.answer_format.extract(completion.visible, complete=False)
        if verdict.action == "unreadable" or not answer:
            run.count_parse_failure()
        if not answer:
            return None if verdict.action == "unreadable" else Verdict("replan", "")
        return Solution.of(Candidate(ticket=0, completion=completion, answer=answer))
