"""AdaptOrch: split a problem into a graph of sub-tasks, coordinate them as its shape suggests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import Field, PositiveInt

from tts.errors import BackendError
from tts.graph import Features, features
from tts.lists import Step, items, ordered, steps
from tts.problem import Problem, Solution, StoppedBy
from tts.questions import restates
from tts.routing import Policy, Published, Topology, reroute, told
from tts.run import Run
from tts.strategy import Strategy
from tts.votes import Tally

__all__ = ["TopologyRouted"]

_QUESTION = "the question itself"


class _Plan(NamedTuple):
    """Sub-tasks in an order in which they can be worked; the last one is the question itself.

    Attributes:
        shape: That of the graph as the model wrote it.
    """

    texts: tuple[str, ...]
    needs: tuple[tuple[int, ...], ...]
    shape: Features


class _Round(NamedTuple):
    solution: Solution | None
    agreement: float


class TopologyRouted(Strategy, name="topology"):
    """Decompose into a graph, measure its shape, route, work it as a dataflow, check, answer.

    Each sub-task is a vote of its own and starts the moment its inputs exist; the topology decides
    what it is told beside the problem. The question comes last, with all answers: as the step that
    asks it, or as one more. Where the votes of some sub-task disagree, the graph is worked once
    more in another topology, and the round that agreed best answers. Without a usable
    decomposition, or an answer, the problem is solved whole.

    Cost: 1 decomposition, then at most `max_rounds` (k worker solves and 1 call of a lead) for k
    sub-tasks, the question among them, and 1 worker more if no round answers; as deep as the
    graph's longest chain.
    Source: AdaptOrch, arXiv:2602.16873. Other than there, edges are always honoured and there are
    no layer barriers, consistency is that of redundant answers to the same sub-task instead of the
    similarity of different ones', and rounds end.
    """

    policy: Policy = Published()
    """Chooses the topology."""
    worker: Strategy | None = None
    """Solves a sub-task; None is the vote of at most 3 samples."""
    labels: bool = False
    """Ask for coupling labels (role `decompose_coupled`); without, each edge counts .5."""
    max_rounds: PositiveInt = 2
    """Most times that the graph is worked; each time in another topology."""
    agreement: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """theta_CS: least share of a sub-task's samples that must agree; below it, in any sub-task,
    another round is tried."""
    most_steps: PositiveInt = 16
    """Longer decompositions are not used, as are those with a step twice or needs in a circle."""
    slots: PositiveInt = 16
    """Most sub-tasks under way at once."""

    def roles(self) -> tuple[str, ...]:
        """Return the roles of planner, lead and workers."""
        own = ("decompose_coupled" if self.labels else "decompose", "lead", "subproblem")
        return tuple(dict.fromkeys((*own, *self._worker.roles())))

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the workers need."""
        return self._worker.needs()

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Decompose, route, work; again if votes disagree and the policy has another idea."""
        plan = await self._plan(problem, run)
        if plan is None:
            return await run.solve(self._worker)
        tried: list[Topology] = []
        best = _Round(None, -1.0)
        topology: Topology | None = self.policy.choose(plan.shape)
        while topology is not None:
            tried.append(topology)
            run.record("topology", chosen=topology, **plan.shape.model_dump())
            best = max(best, await self._work(problem, plan, topology, run), key=_quality)
            is_over = len(tried) == self.max_rounds or run.is_exhausted
            agreed = best.agreement >= self.agreement
            topology = None if agreed or is_over else reroute(self.policy, plan.shape, tried)
        shape = {name: float(value) for name, value in plan.shape}
        chosen = {f"topology_{tried[0]}": 1.0}
        run.note(**shape, **chosen, rounds=len(tried), agreement=best.agreement)
        if best.solution is None or best.solution.answer is None:
            return await run.solve(self._worker)
        why = _of_question_alone(best.solution.stopped_by)
        return best.solution.model_copy(update={"stopped_by": why})

    @property
    def _worker(self) -> Strategy:
        """The strategy of sub-tasks."""
        return self.worker or Strategy.parse({"use": "self_consistency", "samples": 3})

    async def _plan(self, problem: Problem, run: Run) -> _Plan | None:
        """Ask for a decomposition; None if there is none that can be worked."""
        role = "decompose_coupled" if self.labels else "decompose"
        try:
            reply = await run.generate(run.prompt(role, problem=problem), temperature=0.0)
        except BackendError:
            return None
        written = ordered(listed := steps(reply.visible))
        if not 1 < len({step.text for step in written}) == len(written) <= self.most_steps:
            run.count_parse_failure()
            return None
        return _graph(written, listed, problem.text)

    async def _work(self, problem: Problem, plan: _Plan, topology: Topology, run: Run) -> _Round:
        """Work the graph once."""
        briefs = await self._briefs(problem, plan, run) if topology == "hierarchical" else ()

        async def work(at: int, found: Mapping[int, Solution | None]) -> Solution:
            answers = [(plan.texts[one], _answer(found[one])) for one in sorted(found)]
            known = [(text, answer) for text, answer in answers if answer]
            if at == len(plan.texts) - 1:
                lines = [f"{text}: {answer}" for text, answer in known]
                asked = problem.hinted("\n".join(["Known:", *lines])) if lines else problem
            else:
                prompt = run.prompt("subproblem", problem=problem, known=known, step=plan.texts[at])
                asked = Problem(text=prompt.messages[0].content)
                asked = asked.hinted(briefs[at]) if briefs else asked
            return await run.solve(self._worker, asked)

        contexts = told(topology, plan.needs)
        found = await run.flow(work, contexts, names=plan.texts, concurrency=self.slots)
        return _Round(found[-1], min(map(_agreement, found)))

    async def _briefs(self, problem: Problem, plan: _Plan, run: Run) -> Sequence[str]:
        """Let a lead say, for each sub-task but the question, what to mind; () if it does not."""
        prompt = run.prompt("lead", problem=problem, steps=plan.texts[:-1])
        try:
            briefs = items((await run.generate(prompt, temperature=0.0)).visible)
        except BackendError:
            return ()
        if len(briefs) != len(plan.texts) - 1:
            run.count_parse_failure()
            return ()
        return briefs


def _graph(written: Sequence[Step], listed: Sequence[Step], problem: str) -> _Plan:
    """Return the plan of an ordered decomposition, measured before the question joins its ends.

    Where no step says what it needs, each one needs the one before it. Where the last step is not
    the problem's question, the question is one more.
    """
    place = {step.text: at for at, step in enumerate(written)}
    moved = {at: place[step.text] for at, step in enumerate(listed)}
    if all(step.needs is None for step in written):
        needs = [set[int](), *({before} for before, _ in pairwise(range(len(written))))]
    else:
        needs = [{moved[need] for need in step.needs or ()} for step in written]
    couplings = {
        (at, moved[need]): how for at, step in enumerate(written) for need, how in step.couplings
    }
    shape = features([sorted(each) for each in needs], couplings)
    texts = [step.text for step in written]
    if not restates(texts[-1], problem):
        texts.append(_QUESTION)
        needs.append(set())
    needs[-1] |= set(range(len(needs) - 1)) - set().union(*needs)
    return _Plan(tuple(texts), tuple(tuple(sorted(each)) for each in needs), shape)


def _answer(solution: Solution | None) -> str:
    return " ".join((solution.answer or "").split()) if solution else ""


def _of_question_alone(why: StoppedBy | None) -> StoppedBy | None:
    """Say that a rule stopped the last vote; what went before is under no guarantee of it."""
    if why is None:
        return None
    reason = f"the vote of the last sub-task alone: {why.reason}"
    return why.model_copy(update={"reason": reason, "guarantee": None})


def _agreement(solution: Solution | None) -> float:
    """Return the share of a sub-task's samples that give its answer; 1 for one sample with one."""
    if solution is None or solution.answer is None:
        return 0.0
    votes = Tally.of(solution.candidates)
    return votes.leader.count / len(votes.candidates) if votes.leader else 1.0


def _quality(one: _Round) -> tuple[bool, float]:
    """An answer first, then agreement; `max` keeps the earlier of equals."""
    return one.solution is not None and one.solution.answer is not None, one.agreement
