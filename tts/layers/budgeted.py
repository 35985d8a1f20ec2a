"""The layer that keeps a budget: reserves before each call, settles after it."""

from __future__ import annotations

from tts.backends.base import Backend, Meter, most_tokens
from tts.errors import BackendError, BackendTimeout
from tts.layers.base import Layer
from tts.layers.budget import Account, Spending
from tts.messages import Completion, Request

__all__ = ["Budgeted"]


class Budgeted(Layer):
    """Reserves the worst case of a call before it starts, and settles afterwards.

    The worst case is the prompt's upper bound and `max_tokens`, so calls in flight can never
    overshoot together.
    """

    def __init__(self, inner: Backend, account: Account) -> None:
        super().__init__(inner)
        self.account = account

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Reserve, pass on, settle.

        Raises:
            BudgetExceeded: If the call does not fit, or the budget ended while it ran.
            BackendTimeout: If the call took longer than `request.timeout` seconds.
        """
        account = self.account
        reserved = self._worst(request)
        if not account.reserve_nowait(reserved):
            await account.reserve(reserved)
        hold, calls = _Hold(self, reserved, meter), request.n
        scope = account.open_scope(request.timeout)
        try:
            with scope:
                completion = await self.inner.generate(request, meter)
                calls = completion.count
                return completion
        except BackendError:
            calls = 1
            raise
        finally:
            meter.reserve = None  # a cycle less for the garbage collector
            account.close_scope(scope)
            account.settle(hold.amount, self._used(meter, calls))
        if account.ended_by is None:
            raise BackendTimeout(f"{self.name}: no answer in {request.timeout:g} s")
        raise account.refusal(reserved)

    def _worst(self, request: Request) -> Spending:
        prompt, most = most_tokens(self.inner, request)
        return Spending(prompt + most, request.n, self._cost(prompt, most))

    def _used(self, meter: Meter, calls: int) -> Spending:
        prompt, completion = meter.prompt_tokens, meter.completion_tokens
        cost = self._cost(prompt, completion, meter.cached_tokens)
        return Spending(prompt + completion, calls if meter.started else 0, cost)

    def _cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        return self.price.of(prompt, completion, cached) if self.price else 0.0


class _Hold:
    """A call's reservation; a layer that sends the call again enlarges it."""

    __slots__ = ("_layer", "_meter", "amount")

    def __init__(self, layer: Budgeted, amount: Spending, meter: Meter) -> None:
        self._layer, self.amount, self._meter = layer, amount, meter
        meter.reserved, meter.reserve = int(amount.tokens), self.extend

    def extend(self, prompt_tokens: int, completion_tokens: int) -> bool:
        cost = self._layer._cost(prompt_tokens, completion_tokens)
        more = Spending(prompt_tokens + completion_tokens, 0, cost)
        if not self._layer.account.extend(more):
            return False
        tokens, calls, usd = self.amount
        self.amount = Spending(tokens + more.tokens, calls, usd + cost)
        self._meter.reserved = int(self.amount.tokens)
        return True
