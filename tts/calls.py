"""One call of a run: seeded, carried by the layers, booked, and put on the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import anyio

from tts.backends.base import Meter
from tts.errors import BackendError, BackendUnavailable, BudgetExceeded, ContextLengthExceeded
from tts.ledger import Clock
from tts.messages import Completion, Request, ToolCall
from tts.problem import Exhausted
from tts.prompts import Prompt
from tts.session import Model, Session
from tts.spans import Span

__all__ = ["make_call", "make_group"]


async def make_call(
    session: Session,
    span: Span,
    prompt: Prompt,
    path: str,
    ticket: int,
    options: Mapping[str, object],
    ear: Callable[[str], None] | None = None,
    on_call: Callable[[ToolCall], None] | None = None,
) -> Completion:
    """Ask the model that plays the prompt's role.

    Args:
        session: Knows the model; learns what exhausted the budget.
        span: The line of calls whose ledger pays and whose clock moves on.
        prompt: What is asked.
        path: Where in the run the call stands; with the ticket it decides the seed.
        ticket: The call's place there.
        options: Settings of this call.
        ear: Hears the text as it comes.
        on_call: Hears function calls as they come.

    Raises:
        BackendError: If the call failed.
        BudgetExceeded: If the budget does not allow it.
        ConfigError: If an option is out of range.
    """
    model, start = session.model(prompt.role), span.clock
    meter = Meter(listener=ear, on_call=on_call)
    request = model.requests.build(prompt, _placed(options, span), session.seed, path, ticket)
    try:
        completion = await _carried(model, span, request, meter)
    except BudgetExceeded as error:
        session.exhausted = session.exhausted or Exhausted.by(error)
        raise
    finally:  # whoever waited for a failure, or cancelled, waited for its tokens too
        span.join(start.after(meter))
    return completion


async def make_group(
    session: Session,
    span: Span,
    prompt: Prompt,
    path: str,
    tickets: range,
    options: Mapping[str, object],
) -> tuple[Completion, list[Clock]]:
    """Ask for several completions in one call; the first ticket decides the seed.

    A budget that has no room for all of them is not exhausted yet: one may still fit.

    Returns:
        What came, and the time on the clock at which each draw was there.

    Raises:
        BackendError, BudgetExceeded, ConfigError: As `make_call`.
    """
    model, start, meter = session.model(prompt.role), span.clock, Meter()
    options = _placed(options, span)
    request = model.requests.build(prompt, options, session.seed, path, tickets[0], len(tickets))
    try:
        completion = await _carried(model, span, request, meter)
    except BackendError:
        span.join(start.after(meter))
        raise
    # The draws are made side by side: each waits for the prompt and for its own tokens, and is
    # there when all of them are.
    made = [draw.usage.completion_tokens if draw else 0 for draw in _draws(completion)]
    spent = [Meter(meter.prompt_tokens, tokens, seconds=meter.seconds) for tokens in made]
    return completion, [start.after(each) for each in spent]


async def _carried(model: Model, span: Span, request: Request, meter: Meter) -> Completion:
    """Let the layers carry a call, and book it however it ends."""
    ending: Literal["ok", "cancelled", "failed", "divided"] = "cancelled"
    draws, start = request.n, anyio.current_time()
    try:
        completion = await model.backend.generate(request, meter)
        ending, draws = "ok", completion.count
    except BackendUnavailable:
        ending = "failed" if request.n == 1 else "divided"  # its draws will be made one by one
        raise
    except ContextLengthExceeded as error:
        ending = "failed"
        raise _too_long(error, request.role) from error
    except BackendError:
        ending = "failed"
        raise
    finally:
        meter.seconds = max(meter.seconds, anyio.current_time() - start)
        if meter.started or meter.cached:
            price = model.backend.price
            span.ledger.book(meter, price, ending, role=request.role, draws=draws)
    lost = sum(draw is None for draw in completion.draws)
    if lost:
        span.ledger.lose(request.role, lost)
    return completion


def _too_long(error: ContextLengthExceeded, role: str) -> ContextLengthExceeded:
    """Say whose prompt it was, and what helps."""
    return ContextLengthExceeded(
        f"role {role!r}: {error}; shorten the problem or what the model is shown (of a function's "
        "result at most its `longest`), or give the role a model with a longer context",
        status=error.status,
    )


def _draws(completion: Completion) -> tuple[Completion | None, ...]:
    return completion.draws or (completion,)


def _placed(options: Mapping[str, object], span: Span) -> Mapping[str, object]:
    """Return the options with the priority of the place where the call stands."""
    if span.priority and "priority" not in options:
        return {**options, "priority": span.priority}
    return options
