"""A pipeline as a solver of Inspect AI: its tasks, scorers and logs, our strategies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts.backends.inspect import MISSING, limits_hit
from tts.errors import ConfigError
from tts.pipeline import Pipeline
from tts.problem import Problem, Solution
from tts.solver import open_solver
from tts.spans import seed_of

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage
    from inspect_ai.solver import Generate, Solver, TaskState

__all__ = ["inspect_solver"]


def inspect_solver(
    pipeline: str | Path | Pipeline, *, seed: int = 0, answer_only: bool = False
) -> Solver:
    """Return a solver that runs a pipeline on a sample's input.

    Models of the backend `inspect` are asked through Inspect: its logs show their calls, its limits
    and `max_connections` hold, and when a limit ends a sample, the best answer found until then is
    scored. Models of other backends are opened for each sample anew and go their own way: Inspect
    neither sees nor counts them; what they cost is in the log as what the solver has told.

    Args:
        pipeline: The pipeline, or its file.
        seed: With the sample's id and epoch it decides the seed of each solve.
        answer_only: Give scorers the extracted answer alone, instead of the text that carries it.

    Raises:
        ConfigError: If Inspect is not installed, the pipeline is wrong, or its strategy hands on
            from problem to problem; while it runs, if a sample's messages hold more than text.
    """
    loaded = pipeline if isinstance(pipeline, Pipeline) else Pipeline.load(pipeline)
    if loaded.strategy.carries():
        told = "Inspect's samples have no order, so none can hand on to the next: leave carry out"
        raise loaded.mistake(told, "strategy", "carry")
    try:
        from inspect_ai.solver import solver
    except ImportError as error:
        raise ConfigError(MISSING) from error

    def tts(strategy: dict[str, Any], seed: int, answer_only: bool) -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            return await _solve(loaded, state, seed, answer_only)

        return solve

    registered = solver(name="tts")(tts)  # logs hold its arguments
    made: Solver = registered(loaded.strategy.settings(), seed, answer_only)
    return made


async def _solve(pipeline: Pipeline, state: TaskState, seed: int, answer_only: bool) -> TaskState:
    """Solve a sample and put the answer into its state; raise the limit that ended it."""
    problem = _problem(pipeline, state)
    hits: list[Exception] = []
    token = limits_hit.set(hits)
    try:
        async with open_solver(pipeline) as solver:
            place = f"inspect/{state.sample_id}"
            solution = await solver.solve(problem, seed=seed_of(seed, place, state.epoch))
    finally:
        limits_hit.reset(token)
    _tell(state, solution, answer_only)
    if hits:
        raise hits[0]
    return state


def _problem(pipeline: Pipeline, state: TaskState) -> Problem:
    """Return the conversation as a problem: its messages, one after the other.

    Where the assistant has spoken, as in few-shot examples, each message is headed by who speaks.
    """
    texts: list[tuple[str, str]] = []
    for message in state.messages:
        told = _unreadable(message)
        if told:
            raise ConfigError(
                f"sample {state.sample_id}: a message holds {told}, and strategies read text "
                "alone: take it out of the task"
            )
        if message.text.strip():
            texts.append((message.role, message.text))
    if any(role == "assistant" for role, _ in texts):
        texts = [(role, f"{role.capitalize()}: {text}") for role, text in texts]
    return pipeline.problem("\n\n".join(text for _, text in texts), state.sample_id)


def _unreadable(message: ChatMessage) -> str | None:
    """Say what of a message would be lost, if anything: pictures, sound, calls of tools."""
    if message.role == "tool" or getattr(message, "tool_calls", None):
        return "a call of a tool"
    if isinstance(message.content, str):
        return None
    kinds = (part.type for part in message.content if part.type not in {"text", "reasoning"})
    kind = next(kinds, None)
    return None if kind is None else f"content of the kind {kind!r}"


def _tell(state: TaskState, solution: Solution, answer_only: bool) -> None:
    from inspect_ai.log import transcript
    from inspect_ai.model import ModelOutput

    text = (solution.answer or "") if answer_only else solution.text or solution.answer or ""
    report = solution.report()
    state.output = ModelOutput.from_content(str(state.model), text)
    state.messages.append(state.output.message)
    state.store.set("tts", report)
    transcript().info(report, source="tts")
