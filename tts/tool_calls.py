"""One call of a tool in a run: within its time limit and the budget's, and in the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tts.errors import ToolError
from tts.layers import Spending
from tts.problem import Exhausted
from tts.session import Session

if TYPE_CHECKING:  # `import tts` does without it
    from tts.tools import Tool

__all__ = ["call_tool"]


async def call_tool(session: Session, path: str, tool: Tool, arguments: Mapping[str, Any]) -> Any:
    """Call a tool.

    Args:
        session: Whose budget's end cancels the call, and whose trace hears of it.
        path: Where in the run the call stands.
        tool: What is called.
        arguments: By name.

    Raises:
        BudgetExceeded: If the budget ended before there was a result.
        ToolError: If the arguments do not fit, the tool failed, or it took too long.
    """
    account, trace = session.account, session.trace
    start, outcome = trace.now, "cancelled"
    scope = account.open_scope(tool.timeout)
    try:
        if account.ended_by is None:
            with scope:
                result = await tool.call(arguments)
                outcome = "ok"
                return result
        if account.ended_by is not None:
            refused = account.refusal(Spending())
            session.exhausted = session.exhausted or Exhausted.by(refused)
            raise refused
        outcome = "timeout"
        raise ToolError(tool.name, f"no result in {tool.timeout:g} s", is_timeout=True)
    except ToolError as error:
        outcome = "timeout" if error.is_timeout else "failed"
        raise
    finally:
        account.close_scope(scope)
        trace.write("tool", span=path, tool=tool.name, start=start, end=trace.now, outcome=outcome)
