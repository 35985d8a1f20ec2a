"""Calls of tools in a run: within their time limits and the budget's, and in the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tts.errors import ToolError
from tts.layers import Spending
from tts.problem import Exhausted
from tts.session import Session
from tts.spans import Span, standing

if TYPE_CHECKING:  # `import tts` does without it
    from tts.tools import Tool

__all__ = ["call"]


async def call(
    run: Any,  # a Run, which stands above: this is a method of it
    tool: Tool,
    arguments: Mapping[str, Any],
    line: Span | None = None,
) -> Any:
    """Call a tool within its time limit; the budget's end ends it too.

    A tool that asks models gets a run that is a part of this one: budget, permits, trace and
    accounts are the same, and the candidates it draws are none of this problem's.

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
    span = line or run._line
    if not tool.run_as:
        return await _called(run._session, span.path, tool, arguments)
    inner = type(run)(run._session, run.problem, run._prompts, span)
    start, before = run.now, span.clock
    try:
        with standing(span):
            return await _called(run._session, span.path, tool, arguments, inner)
    finally:
        run._findings.parse_failures += inner._findings.parse_failures
        if line is not None:
            run._write_span(span.path, start, span.clock.since(before))


async def _called(
    session: Session, path: str, tool: Tool, arguments: Mapping[str, Any], run: object = None
) -> Any:
    """Call a tool under the eyes of the session's account and trace."""
    account, trace = session.account, session.trace
    start, outcome = trace.now, "cancelled"
    scope = account.open_scope(tool.timeout)
    try:
        if account.ended_by is None:
            with scope:
                result = await tool.call(arguments, run)
                outcome = "ok"
                return result
        if account.ended_by is not None:
            refused = account.refusal(Spending())
            session.exhausted = session.exhausted or Exhausted.by(refused)
            raise refused
        outcome = "timeout"
        # A plain function goes on in its thread: a second one beside it is what nobody asked for.
        late = f"no result in {tool.timeout:g} s"
        raise ToolError(tool.name, late, retryable=tool.is_async, is_timeout=True)
    except ToolError as error:
        outcome = "timeout" if error.is_timeout else "failed"
        raise
    finally:
        account.close_scope(scope)
        trace.write("tool", span=path, tool=tool.name, start=start, end=trace.now, outcome=outcome)
