"""ReAct: one call of a function after the other, each chosen with all results at hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PositiveInt, PrivateAttr

from tts.errors import BackendError, ContextLengthExceeded, PlanError, ToolError
from tts.messages import Completion
from tts.plans import Call, PlanReader, bind, read_verdict
from tts.plans import Problem as Mistake
from tts.problem import Candidate, Problem, Solution
from tts.run import Run
from tts.strategy import Strategy
from tts.toolboxes import Toolbox, open_tools
from tts.tools import Tool

__all__ = ["React"]

_MOST_UNUSABLE = 3
_NUMBER = re.compile(r"^\s*\d{1,9}\s*[.):]\s*(?=[A-Za-z_`*])")


class React(Strategy, name="react"):
    """Let the model choose one call, show it the result, and so on until it finishes.

    The baseline of `compiler`, and its way out where a plan cannot be made. A call may refer to
    earlier ones by their numbers, as a plan's may. A step whose model call fails is used up; an
    error that asking again cannot help ends the work. So do three replies in a row that cannot be
    used: neither an answer nor a call of a function that there is. A prompt that has no room for
    the results ends it without an answer; `Solution.reasons` says why.

    Cost: at most `max_steps` model calls, each as deep as its number; every prompt holds all
    results before it.
    Source: Yao et al. 2022, arXiv:2210.03629: thought, action, observation; the action alone where
    the model writes no thought.
    """

    tools: tuple[Toolbox, ...] = ()
    """Where the functions come from."""
    max_steps: PositiveInt = 12
    """Most model calls."""
    history: tuple[str, ...] = ()
    """Calls that were made before, with their results, one a line."""
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Of the choice."""
    _results: Mapping[int, Any] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        """Take the results of the calls in `history` by their lines, from 1, which are no setting.

        Args:
            context: `{"results": ...}` of whoever hands the work over.
        """
        self._results = (context or {}).get("results", {})

    def roles(self) -> tuple[str, ...]:
        """Return the one that chooses, and those of tools that ask models."""
        return tuple(dict.fromkeys(("act", *(role for box in self.tools for role in box.roles()))))

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Choose, call, look; until there is an answer."""
        lines, results = list(self.history), dict(self._results)
        failure: BackendError | None = None
        unusable = 0
        async with open_tools(self.tools, run.opening) as tools:
            signatures = tuple(tool.signature for tool in tools.values())
            for _ in range(self.max_steps):
                prompt = run.prompt("act", problem=problem, tools=signatures, calls=lines)
                try:
                    completion = await run.generate(prompt, temperature=self.temperature)
                except BackendError as error:
                    if isinstance(error, ContextLengthExceeded) and lines:
                        run.explain(str(error))
                        break
                    if not error.retryable:
                        raise
                    failure = error
                    continue
                whole, said = completion.finish_reason == "stop", completion.visible
                verdict = read_verdict(said, is_whole=whole)
                if verdict.action == "finish" and verdict.text:
                    return _answered(completion, verdict.text)
                call = _first_call(said, len(lines) + 1, results)
                marked = problem.answer_format.extract(said, complete=False)
                if marked and not isinstance(call, Call):
                    return _answered(completion, marked)
                line, is_usable = await self._made(call, said, tools, results, run)
                lines.append(line)
                unusable = 0 if is_usable else unusable + 1
                if unusable == _MOST_UNUSABLE:
                    break
        if failure is not None and len(lines) == len(self.history):
            raise failure
        return Solution(answer=None)

    async def _made(
        self,
        call: Call | Mistake | None,
        said: str,
        tools: Mapping[str, Tool],
        results: dict[int, Any],
        run: Run,
    ) -> tuple[str, bool]:
        """Make a call and keep its result.

        Returns:
            Both as the model is shown them, and whether there was a call that could be made.
        """
        if not isinstance(call, Call):
            reason = "neither a call nor Finish" if call is None else call.reason
            _refuse(run, reason, said)
            return f"{' '.join(said.split())[:200]} = error: {reason}", False
        written = _thought(said) + " ".join(call.text.split())
        try:
            bound = bind(call, tools)
            result = await run.call(bound.tool, bound.filled(results))
        except PlanError as error:
            _refuse(run, error.reason, call.text)
            return f"{written} = error: {' '.join(error.reason.split())}", False
        except (BackendError, ToolError) as error:  # of the call; a tool may ask models
            reason = error.reason if isinstance(error, ToolError) else str(error)
            return f"{written} = error: {' '.join(reason.split())}", True
        results[call.id] = result
        return f"{written} = {' '.join(bound.tool.show(result).split())}", True


def _answered(completion: Completion, answer: str) -> Solution:
    return Solution.of(Candidate(ticket=0, completion=completion, answer=answer))


def _refuse(run: Run, reason: str, text: str) -> None:
    run.record("unusable", reason=reason, text=text)
    run.count_parse_failure(reason)


def _thought(text: str) -> str:
    """Return the line that says what the call is for, as a line of its own; or nothing."""
    lines = (line.strip() for line in text.splitlines())
    thought = next((line for line in lines if line.lower().startswith("thought:")), "")
    return f"{thought}\n" if thought else ""


def _first_call(text: str, number: int, known: Mapping[int, Any]) -> Call | Mistake | None:
    """Return the first call of a text as the one with this number, or what is wrong with it."""
    first: Mistake | None = None
    for line in (text, *text.splitlines()):
        reader = PlanReader(dict.fromkeys(known, ""))
        written = f"{number}. {_NUMBER.sub('', line.strip(), count=1)}"
        for item in [*reader.feed(written), *reader.close()]:
            if isinstance(item, Call):
                return item
            if isinstance(item, Mistake) and "(" in item.text and item.is_fatal:
                first = first or item
    return first
