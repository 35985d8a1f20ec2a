"""Sending a failed call again: when it may help, when it is allowed, and how long to wait."""

from __future__ import annotations

import math
from itertools import count
from random import Random
from typing import Final

import anyio

from tts.backends.base import Backend, Meter
from tts.backends.policy import Retry
from tts.errors import BackendError, BackendUnavailable, RateLimited
from tts.layers.base import Layer
from tts.layers.rate import Allowance
from tts.messages import Completion, Request

__all__ = ["Retrying", "asked_by", "can_help", "wait_before"]

_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_FINAL: Final = frozenset({501, 505})


class Retrying(Layer):
    """Sends a call again when it failed for a reason that may pass.

    Not again: an error that would repeat itself, a call whose text was passed on already, one
    whose time limit would end before the wait, and one that the budget has no tokens left for.
    What failed attempts have used is charged.

    Retries are a part of all calls (`Allowance`), so that a server that is down is not buried. A
    wait that the server itself asks for is exempt: it has told when it will be ready.

    Args:
        inner: What is asked again.
        retry: The settings.
        burst: Retries that are allowed at once, before calls have earned more: the most calls in
            flight, since a server that restarts drops them all.
    """

    def __init__(self, inner: Backend, retry: Retry, *, burst: int) -> None:
        super().__init__(inner)
        self.retry = retry
        self._allowance = Allowance(retry.budget, most=burst, left=burst)

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Pass the request on until it is answered or trying again is pointless.

        Raises:
            BackendError: The last attempt's error.
        """
        self._allowance.earn()
        ends = math.inf if request.timeout is None else anyio.current_time() + request.timeout
        for attempt in count(1):
            used = meter if attempt == 1 else meter.attempt()
            try:
                return await self.inner.generate(request, used)
            except BackendError as error:
                wait = wait_before(attempt, error, self.retry, request)
                if not self._may_retry(attempt, error, used, wait, ends):
                    raise
            finally:
                if used is not meter:
                    meter.add(used)
            await anyio.sleep(wait)
        raise AssertionError  # the count never ends

    def _may_retry(
        self, attempt: int, error: BackendError, used: Meter, wait: float, ends: float
    ) -> bool:
        asked = asked_by(error)
        return (
            attempt < self.retry.attempts
            and can_help(error)
            and (used.retractable or not used.heard)
            and (asked is None or asked <= self.retry.patience)
            and anyio.current_time() + wait < ends
            and used.can_reserve(used.prompt_tokens, used.completion_tokens)
            and (asked is not None or self._allowance.spend())
        )


def asked_by(error: BackendError) -> float | None:
    """Return the seconds that the provider asks to wait, or None."""
    return error.retry_after if isinstance(error, RateLimited | BackendUnavailable) else None


def can_help(error: BackendError) -> bool:
    """Say whether the same request may succeed later.

    >>> can_help(RateLimited("busy")), can_help(BackendError("not implemented", status=501))
    (True, False)
    """
    if type(error) is BackendError:  # the class says nothing: the status does
        return error.status in _TEMPORARY
    return error.retryable and error.status not in _FINAL


def wait_before(attempt: int, error: BackendError, retry: Retry, request: Request) -> float:
    """Return the seconds to wait after a failed attempt (from 1).

    Drawn evenly between 0 and a bound that doubles, so that calls that failed together do not come
    back together. What a server asks for is waited in full, and the draw comes on top. The draw
    depends on the request and the attempt only: a replay waits as long.

    Source: full jitter, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    bound = min(retry.longest_wait, retry.first_wait * 2.0 ** min(attempt - 1, 60))
    dice = Random(f"{request.seed}|{request.span}|{request.ticket}|{attempt}")
    asked = asked_by(error)
    if asked is not None:
        return max(0.0, asked) + dice.uniform(0.0, retry.first_wait)
    return dice.uniform(0.0, bound)
