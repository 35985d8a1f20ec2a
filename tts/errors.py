"""The errors of the library: each names who must act.

TTSError
├ ConfigError            you: a pipeline, flag, argument or file is wrong
├ BackendError           the model's side: `retryable` says whether asking again can help
│ ├ RateLimited          wait `retry_after` seconds
│ ├ BackendTimeout       no answer in time
│ ├ BackendUnavailable   the server cannot be reached or failed
│ ├ AuthenticationError  you: the key is missing or wrong
│ ├ ContextLengthExceeded  you: the prompt and `max_tokens` do not fit the model
│ ├ InvalidResponse      the answer could not be understood
│ └ NoQuorum             too many calls of a sample failed; holds the candidates that survived
├ BudgetExceeded         you: the budget does not allow another call
├ NotCertifiable         you: the data do not carry the guarantee; says what they would carry
├ PlanError              the planning model: a line of its plan cannot be carried out
└ ToolError              the tool, or whoever wrote its arguments: `retryable` tells which
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

__all__ = [
    "AuthenticationError",
    "BackendError",
    "BackendTimeout",
    "BackendUnavailable",
    "BudgetExceeded",
    "ConfigError",
    "ContextLengthExceeded",
    "InvalidResponse",
    "NoQuorum",
    "NotCertifiable",
    "PlanError",
    "RateLimited",
    "TTSError",
    "ToolError",
]


class TTSError(Exception):
    """Base of every error that the library raises on purpose; it can be pickled as it is."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception would call the class with the message, which is not what all of them take.
        return _remade, (type(self), self.args), self.__dict__ or None


def _remade(kind: type[TTSError], arguments: tuple[Any, ...]) -> TTSError:
    return kind.__new__(kind, *arguments)


class ConfigError(TTSError, ValueError):
    """Something the caller wrote is wrong; nothing was spent.

    Attributes:
        path: File the mistake stands in, or None.
        line: Line in that file, from 1, or None.
        column: Column in that line, from 1, or None.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        where = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.path, self.line, self.column = path, line, column


class BackendError(TTSError):
    """A model call failed.

    Attributes:
        retryable: True if the same request may succeed later.
        status: HTTP status, or None where there was no response.
        sent: False if there was no connection, so that the provider has not seen the request.
    """

    retryable: ClassVar[bool] = False
    sent: bool = True

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RateLimited(BackendError):
    """The provider asks to slow down.

    Attributes:
        retry_after: Seconds the provider asks to wait, or None.
    """

    retryable = True

    def __init__(
        self, message: str, *, status: int | None = 429, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class BackendTimeout(BackendError):
    """No answer came in time."""

    retryable = True


class BackendUnavailable(BackendError):
    """The server cannot be reached, or failed while it answered.

    Attributes:
        retry_after: Seconds the server asks to wait, or None.
    """

    retryable = True

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class AuthenticationError(BackendError):
    """The key is missing, wrong, out of credit, or not allowed to use this model."""


class ContextLengthExceeded(BackendError):
    """The prompt and the tokens asked for do not fit the model's context."""


class InvalidResponse(BackendError):
    """The provider's answer could not be understood."""


class NoQuorum(BackendError):
    """Fewer candidates of a sample survived than its quorum asks for; the cause is the first error.

    Attributes:
        candidates: Those that survived, at least one.
        quorum: How many were asked for.
    """

    def __init__(self, candidates: Sequence[object], quorum: int) -> None:
        super().__init__(
            f"{len(candidates)} candidates survived failing calls, {quorum} are needed"
        )
        self.candidates, self.quorum = tuple(candidates), quorum


class BudgetExceeded(TTSError):
    """The budget does not allow another call.

    Attributes:
        kind: What ran out: "tokens", "calls", "seconds", "usd", or "interrupt".
        spent: How much of it is spent.
        limit: How much of it was allowed.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, kind: str, *, spent: float, limit: float) -> None:
        super().__init__(
            f"budget of {limit:g} {kind} does not allow another call ({spent:g} spent)"
        )
        self.kind, self.spent, self.limit = kind, spent, limit


class NotCertifiable(TTSError):
    """A guarantee was asked for that the data cannot give.

    Attributes:
        reason: Why not.
        level: The smallest level that these data would certify, or None if they certify none.
        needed: Problems that the level asked for would take at the rate seen; None if no number
            would be enough, since the rate seen is no smaller.
    """

    def __init__(
        self, reason: str, *, level: float | None = None, needed: int | None = None
    ) -> None:
        offers = f"; these data certify {level:.3g} at best" if level is not None else ""
        asks = f"; it would take about {needed} problems" if needed is not None else ""
        super().__init__(reason + offers + asks)
        self.reason, self.level, self.needed = reason, level, needed


class PlanError(TTSError):
    """A line of a plan cannot be carried out; a model can repair it from the message.

    Attributes:
        line: Line in the plan's text, from 1.
        reason: What is wrong, and what to write instead.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


class ToolError(TTSError):
    """A call of a tool failed, or its arguments do not fit; the cause is what it raised.

    Attributes:
        tool: Name of the tool.
        reason: What went wrong.
        retryable: False if only other arguments can help.
        is_timeout: True if there was no result in time.
    """

    def __init__(
        self, tool: str, reason: str, *, retryable: bool = True, is_timeout: bool = False
    ) -> None:
        super().__init__(f"{tool}: {reason}")
        self.tool, self.reason = tool, reason
        self.retryable, self.is_timeout = retryable, is_timeout
