"""ReAct: one call of a function after the other, each chosen with all results at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, PositiveInt

from tts.errors import BackendError, PlanError, ToolError
from tts.messages import Completion
from tts.plans import Call, PlanReader, bind, read_verdict
from tts.problem import Candidate, Problem, Solution
from tts.run import Run
from tts.strategy import Strategy
from tts.toolboxes import Toolbox, open_tools
from tts.tools import Tool

__all__ = ["React"]


class React(Strategy, name="react"):
    """Let the model choose one call, show it the result, and so on until it finishes.

    The baseline of `compiler`, and its way out where a plan cannot be made. A step whose model
    call fails is used up; an error that asking again cannot help ends the work.

    Cost: at most `max_steps` model calls, each as deep as its number; every prompt holds all
    results before it.
    Source: Yao et al. 2022, arXiv:2210.03629, without separate thoughts.
    """

    tools: tuple[Toolbox, ...] = ()
    """Where the functions come from."""
    max_steps: PositiveInt = 12
    """Most model calls."""
    history: tuple[str, ...] = ()
    """Calls that were made before, with their results, one a line."""
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Of the choice."""

    def roles(self) -> tuple[str, ...]:
        """Return the one that chooses, and those of tools that ask models."""
        return tuple(dict.fromkeys(("act", *(role for box in self.tools for role in box.roles()))))

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Choose, call, look; until there is an answer."""
        lines = list(self.history)
        failure: BackendError | None = None
        async with open_tools(self.tools) as tools:
            signatures = tuple(tool.signature for tool in tools.values())
            for _ in range(self.max_steps):
                prompt = run.prompt("act", problem=problem, tools=signatures, calls=lines)
                try:
                    completion = await run.generate(prompt, temperature=self.temperature)
                except BackendError as error:
                    if not error.retryable:
                        raise
                    failure = error
                    continue
                said = completion.visible
                verdict = read_verdict(said)
                whole = completion.finish_reason == "stop"
                found = problem.answer_format.extract(said, complete=whole)
                if verdict.action == "finish" and verdict.text:
                    return _answered(completion, verdict.text)
                call = _first_call(said)
                if call is None and found:
                    return _answered(completion, found)
                lines.append(await self._made(call, said, tools, run))
        if failure is not None and len(lines) == len(self.history):
            raise failure
        return Solution(answer=None)

    async def _made(self, call: Call | None, said: str, tools: Mapping[str, Tool], run: Run) -> str:
        """Make a call; return it with its result, as the model is shown it."""
        if call is None:
            run.count_parse_failure()
            return f"{' '.join(said.split())[:200]} = error: neither a call nor Finish"
        written = " ".join(call.text.split())
        try:
            bound = bind(call, tools)
            result = await run.call(bound.tool, bound.filled({}))
        except (BackendError, PlanError, ToolError) as error:  # of the call; a tool may ask models
            reason = error.reason if isinstance(error, PlanError | ToolError) else str(error)
            return f"{written} = error: {' '.join(reason.split())}"
        return f"{written} = {' '.join(bound.tool.show(result).split())}"


def _answered(completion: Completion, answer: str) -> Solution:
    return Solution.of(Candidate(ticket=0, completion=completion, answer=answer))


def _first_call(text: str) -> Call | None:
    """Return the first call of a text, numbered or not."""
    for line in (text, *(f"1. {line.strip()}" for line in text.splitlines())):
        reader = PlanReader()
        for item in [*reader.feed(line), *reader.close()]:
            if isinstance(item, Call):
                return item
    return None
