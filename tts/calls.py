"""One call of a run: seeded, carried by the layers, booked, and put on the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from tts.backends.base import Meter
from tts.errors import BackendError, BudgetExceeded
from tts.messages import Completion
from tts.prompts import Prompt
from tts.session import Session
from tts.spans import Span

__all__ = ["make_call"]


async def make_call(
    session: Session,
    span: Span,
    prompt: Prompt,
    path: str,
    ticket: int,
    options: Mapping[str, object],
    ear: Callable[[str], None] | None = None,
) -> Completion:
    """Ask the model that plays the prompt's role.

    Args:
        session: Knows the model; learns that the budget is exhausted.
        span: The line of calls whose ledger pays and whose clock moves on.
        prompt: What is asked.
        path: Where in the run the call stands; with the ticket it decides the seed.
        ticket: The call's place there.
        options: Settings of this call.
        ear: Hears the text as it comes.

    Raises:
        BackendError: If the call failed.
        BudgetExceeded: If the budget does not allow it.
        ConfigError: If an option is out of range.
    """
    model = session.model(prompt.role)
    meter, start = Meter(listener=ear), span.clock
    ending: Literal["ok", "cancelled", "failed"] = "cancelled"
    request = model.requests.build(prompt, options, session.seed, path, ticket)
    try:
        completion = await model.backend.generate(request, meter)
        ending = "ok"
    except BudgetExceeded:
        session.is_exhausted = True
        raise
    except BackendError:
        ending = "failed"
        raise
    finally:
        if meter.started or meter.cached:
            span.ledger.book(meter, model.backend.price, ending)
        span.join(start.after(meter))  # whoever waited for a failure waited for its tokens too
    return completion
