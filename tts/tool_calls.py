"""Calls of tools in a run: within their time limits and the budget's, and in the trace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio

from tts.copies import copied
from tts.errors import BackendError, ToolError
from tts.layers import Spending
from tts.ledger import Clock
from tts.problem import Exhausted
from tts.session import Session
from tts.spans import Span, standing

if TYPE_CHECKING:  # `import tts` does without it
    from tts.tools import Tool

__all__ = ["Turns", "call"]

_held: ContextVar[frozenset[int]] = ContextVar("tools under way", default=frozenset())


async def call(
    run: Any,  # a Run, which stands above: this is a method of it
    tool: Tool,
    arguments: Mapping[str, Any],
    line: Span | None = None,
) -> Any:
    """Call a tool within its time limit; the budget's end ends it too.

    A tool that asks models gets a run that is a part of this one: budget, permits, trace and
    accounts are the same, and the candidates it draws are none of this problem's. The seconds that
    a tool took are on the clock of its line, whatever it asked in them.

    Args:
        run: Whose call it is.
        tool: What is called.
        arguments: By name.
        line: From `run.branch`, where calls run side by side; None goes on where the run stands.

    Raises:
        BackendError: If a call of a model failed in it.
        BudgetExceeded: If the budget ended before there was a result.
        ToolError: If the arguments do not fit, the tool failed, or it took too long.
    """
    here: Span = run._line
    span = line or here
    with _clocked(span):
        if not tool.run_as:
            return await _counted(run, here.path, tool, arguments)
        inner = type(run)(run._session, run.problem, run._prompts, span)
        start, before = run.now, span.clock
        try:
            with standing(span):
                return await _counted(run, span.path, tool, arguments, inner)
        finally:
            run._findings.count(inner._findings)
            if line is not None:
                run._write_span(span.path, start, span.clock.since(before))


@contextmanager
def _clocked(span: Span) -> Iterator[None]:
    """Let the seconds that the block takes pass on a line, beside those of the calls within."""
    began, start = span.clock, anyio.current_time()
    try:
        yield
    finally:
        took = Clock(seconds=anyio.current_time() - start)
        span.join(began.plus(took))


class Turns:
    """How many calls of each tool are under way, over all problems of the solvers that share it.

    It decides when a call is made, and no answer.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[Callable[..., Any], anyio.Semaphore]] = {}

    @asynccontextmanager
    async def take(self, tool: Tool) -> AsyncIterator[None]:
        """Wait for one of the tool's places and keep it in the block.

        A call within a call of the same tool shares its place: it would wait for itself.
        """
        held, key = _held.get(), id(tool.function)  # a function need not be hashable
        if tool.concurrency is None or key in held:
            yield
            return
        if key not in self._places:
            self._places[key] = (tool.function, anyio.Semaphore(tool.concurrency))
        async with self._places[key][1]:
            token = _held.set(held | {key})
            try:
                yield
            finally:
                _held.reset(token)


async def _counted(
    run: Any, path: str, tool: Tool, arguments: Mapping[str, Any], inner: object = None
) -> Any:
    """Call a tool, and count it if it fails."""
    try:
        return await _called(run._session, path, tool, arguments, inner)
    except (BackendError, ToolError):
        run._findings.failed_functions[tool.name] += 1
        raise


async def _called(
    session: Session, path: str, tool: Tool, arguments: Mapping[str, Any], run: object = None
) -> Any:
    """Call a tool under the eyes of the session's account and trace."""
    account, turns = session.account, session.carried.remembered(Turns)
    scope = account.open_scope(None)
    try:
        if account.ended_by is None:
            with scope:
                async with turns.take(tool):
                    return await _timed(session, path, tool, arguments, run)
        refused = account.refusal(Spending())
        session.exhausted = session.exhausted or Exhausted.by(refused)
        raise refused
    finally:
        account.close_scope(scope)


async def _timed(
    session: Session, path: str, tool: Tool, arguments: Mapping[str, Any], run: object
) -> Any:
    """Call a tool for no longer than it may take."""
    trace, outcome = session.trace, "cancelled"
    start = trace.now
    try:
        with anyio.move_on_after(tool.timeout):
            result = copied(await tool.call(arguments, run))  # the tool may keep its own
            outcome = "ok"
            return result
        outcome = "timeout"
        # A plain function goes on in its thread: a second one beside it is what nobody asked for.
        late = f"no result in {tool.timeout:g} s"
        raise ToolError(tool.name, late, retryable=tool.is_async, is_timeout=True)
    except ToolError as error:
        outcome = "timeout" if error.is_timeout else "failed"
        raise
    finally:
        trace.write("tool", span=path, tool=tool.name, start=start, end=trace.now, outcome=outcome)
