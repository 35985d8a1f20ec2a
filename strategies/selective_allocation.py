"""Selective allocation: split a problem into steps, think long about the hard ones only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tts.drafts import as_draft
from tts.errors import BackendError, ConfigError
from tts.lists import ordered, rating, steps
from tts.problem import Problem, Solution
from tts.run import Run
from tts.selection import choose
from tts.strategy import Strategy, combined
from tts.votes import Tally

__all__ = ["SelectiveAllocation"]


class _Once(Strategy, name="once"):
    """One call of a role."""

    role: str

    async def solve(self, problem: Problem, run: Run) -> Solution:
        return Tally.of([await run.candidate(run.prompt(self.role, problem=problem))]).solution()


class SelectiveAllocation(Strategy, name="selective_allocation"):
    """Split into steps, rate each, solve the easy by System 1 and the hard by System 2, in order.

    d_i = A(s_i, C_i); step i goes to System 2 iff d_i > tau; C_i is the problem with the visible
    answers of the steps before. The last step is the original question, whatever the plan says. A
    rating that cannot be read counts as hard; a step that one system cannot answer is tried by the
    other; without a plan System 2 solves the problem whole.

    Cost: `candidates` decompositions, one call to choose among different ones, a rating and a
    solve for each of n steps; n + 3 calls deep, 2n + 1 with `in_context`, if a system is one call.
    Source: SCALE, arXiv:2512.00466. There the rating sees what is solved (`in_context`);
    the published code rates up front, all at once.
    """

    tau: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """Threshold of difficulty, in [0, 1]: at 1 nothing is hard but for the last step, if it is
    forced. There is no default: it depends on model and problems. Give it, or `calibrate`."""
    calibrate: bool = False
    """Leave tau open, for `python -m tts.evals.thresholds` to find on labelled problems."""
    candidates: PositiveInt = 8
    """k: decompositions, of which one is chosen."""
    choose_by: Literal["judge", "most_frequent"] = "judge"
    """How: the role `choose` names one of those that differ, or the one written most often."""
    difficulty: Literal["upfront", "in_context"] = "upfront"
    """Rate all steps at once by their texts, or each with the answers before it."""
    system1: Strategy | None = None
    """Solves easy steps; None is one call of the role `direct`."""
    system2: Strategy | None = None
    """Solves hard steps; None is one call of the role `solve`."""
    force_last: bool = True
    """The last step goes to System 2 whatever its difficulty."""
    context: Literal["answers", "solutions"] = "answers"
    """What later steps see of an earlier one: its extracted answer, or its visible text."""
    bound: PositiveInt = 256
    """Most tokens of a solution that later steps see."""
    most_steps: PositiveInt = 16
    """Longer decompositions are left out, as are those with a step twice or needs in a circle."""

    @model_validator(mode="after")
    def _has_threshold(self) -> Self:
        if (self.tau is None) is not self.calibrate:
            raise ValueError("give tau, above which a step is hard, or calibrate: true, not both")
        return self

    def roles(self) -> tuple[str, ...]:
        """Return the roles of planner, rater and both systems."""
        first = self.system1.roles() if self.system1 else ("direct",)
        second = self.system2.roles() if self.system2 else ("solve",)
        own = ("decompose", "choose", "difficulty", "subproblem")
        return tuple(dict.fromkeys((*own, *first, *second)))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what both systems need."""
        return combined(*(system.needs() for system in (self.system1, self.system2) if system))

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Decompose, rate, solve step by step.

        Raises:
            BackendError: If neither system could answer the question.
            ConfigError: If the threshold is still to be calibrated.
        """
        if self.tau is None:
            raise ConfigError("there is no tau yet: python -m tts.evals.thresholds finds one")
        plan: list[str | None] = [*await self._plan(problem, run), None]  # None: the question
        ratings = await self._rate_all(problem, plan, run)
        known: list[tuple[str, str]] = []
        solution: Solution | None = None
        for at, step in enumerate(plan):
            asked = self._asked(problem, step, known, run)
            if ratings[at] is None:
                ratings[at] = await self._rate(asked, run)
            is_hard = (ratings[at] or 0.0) > self.tau or (step is None and self.force_last)
            solution = await self._work(asked, run, is_hard=is_hard)
            if solution is not None and step is not None:
                known.append((step, self._shown(solution, run)))
        run.note(
            steps=len(plan), **{f"difficulty_{at}": each or 0.0 for at, each in enumerate(ratings)}
        )
        return solution or await run.solve(self._systems[1])

    @property
    def _systems(self) -> tuple[Strategy, Strategy]:
        return self.system1 or _Once(role="direct"), self.system2 or _Once(role="solve")

    async def _plan(self, problem: Problem, run: Run) -> list[str]:
        """Return the steps before the last; none where no decomposition can be used."""
        prompt = run.prompt("decompose", problem=problem)
        replies = await run.map(
            lambda _: run.generate(prompt), range(self.candidates), failures="skip"
        )
        plans: Counter[tuple[str, ...]] = Counter()
        for reply in filter(None, replies):
            plan = tuple(step.text for step in ordered(steps(reply.visible)))
            if 0 < len(set(plan)) == len(plan) <= self.most_steps:
                plans[plan] += 1
            else:
                run.count_parse_failure()
        ranked = [plan for plan, _ in plans.most_common(None if self.choose_by == "judge" else 1)]
        return list((await _choose(problem, ranked, run))[:-1])

    async def _rate_all(
        self, problem: Problem, plan: Sequence[str | None], run: Run
    ) -> list[float | None]:
        """Return ratings up front, at once; None for those that wait for their context."""
        if self.difficulty == "in_context":
            return [*[None] * (len(plan) - 1), 1.0 if self.force_last else None]
        rated = plan[:-1] if self.force_last else plan
        asked = [self._asked(problem, step, [], run) for step in rated]
        ratings = await run.map(lambda step: self._rate(step, run), asked)
        return [*ratings, *([1.0] if self.force_last else [])]

    async def _rate(self, asked: Problem, run: Run) -> float:
        """Return a step's difficulty, in [0, 1]; 1 where it cannot be read."""
        try:
            reply = await run.generate(run.prompt("difficulty", problem=asked), temperature=0.0)
        except BackendError:
            return 1.0
        difficulty = rating(reply.visible)
        if difficulty is None:
            run.count_parse_failure()
        return 1.0 if difficulty is None else difficulty

    def _asked(
        self, problem: Problem, step: str | None, known: Sequence[tuple[str, str]], run: Run
    ) -> Problem:
        if step is None:
            lines = [f"{earlier}: {answer}" for earlier, answer in known]
            return problem.hinted("\n".join(["Known:", *lines])) if lines else problem
        prompt = run.prompt("subproblem", problem=problem, known=known, step=step)
        return Problem(text=prompt.messages[0].content)

    async def _work(self, asked: Problem, run: Run, *, is_hard: bool) -> Solution | None:
        """Let one system answer, or else the other; None where both fail."""
        for system in reversed(self._systems) if is_hard else self._systems:
            try:
                solution = await run.solve(system, asked)
            except BackendError:
                continue
            if solution.answer is not None:
                return solution
        return None

    def _shown(self, solution: Solution, run: Run) -> str:
        if self.context == "solutions" and solution.best is not None:
            return as_draft(run, solution.best, self.bound)
        return " ".join((solution.answer or "").split())


async def _choose(problem: Problem, plans: Sequence[tuple[str, ...]], run: Run) -> tuple[str, ...]:
    """Let the role `choose` name one of several plans; the first stands in, () where none is."""
    if len(plans) < 2:
        return plans[0] if plans else ()
    shown = ["\n".join(f"{n}. {step}" for n, step in enumerate(plan, 1)) for plan in plans]
    return plans[await choose(run, problem, shown, role="choose") or 0]
