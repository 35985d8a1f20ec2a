"""A model that fails in every way a provider can, in virtual time: what the soak runs against."""

from __future__ import annotations

from collections import Counter
from random import Random

import anyio

from tts import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    Completion,
    ConfigError,
    ContextLengthExceeded,
    InvalidResponse,
    Meter,
    Price,
    RateLimited,
    Request,
    Usage,
)
from tts.backends import Capabilities, RateInfo
from tts.layers import Account

__all__ = ["Misbehaving", "is_overspent"]


def is_overspent(account: Account) -> bool:
    """Return whether more is spent and promised than the budget allows, rounding of sums apart."""
    left = account.remaining
    return left.tokens < 0 or left.calls < 0 or left.usd < -1e-9


class Misbehaving:
    """A model with moods: calm, a storm of refusals, an outage; the mood changes with time.

    It draws several at once, but not always as many as it is asked for.

    Attributes:
        most: A request for more completions than these is refused.
        spent: Tokens it has spent, on whatever came of them.
        active: Calls under way.
        tally: What became of the attempts.
    """

    name = "misbehaving"
    capabilities = Capabilities(seed=True, logprobs=True, top_logprobs=20, stream=True, n=True)
    price = Price(input=1.0, output=4.0)

    def __init__(self, dice: Random, tally: Counter[str]) -> None:
        self.dice, self.tally = dice, tally
        self.spent = self.active = 0
        self.salt = dice.random()
        self.most = dice.choice([1, 3, 64])
        self.accounts: set[Account] = set()
        self.overspent = 0

    def prompt_tokens(self, request: Request) -> int:
        """Return the words of the prompt."""
        return sum(len(message.content.split()) for message in request.messages)

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer, fail, stall or break off, and keep the books."""
        self.active += 1
        before = meter.total_tokens
        self.overspent += any(is_overspent(account) for account in self.accounts)
        try:
            return await self._answer(request, meter)
        except anyio.get_cancelled_exc_class():
            self.tally["attempt: cancelled"] += 1
            raise
        except BackendError as error:
            self.tally[f"attempt: {type(error).__name__} {error.status or ''}".rstrip()] += 1
            raise
        finally:
            self.active -= 1
            self.spent += meter.total_tokens - before

    async def _answer(self, request: Request, meter: Meter) -> Completion:
        dice = self.dice
        if request.n > self.most:
            self.tally["attempt: refused for being several"] += 1
            raise ConfigError("so many are not drawn at once")
        mood = self._mood()
        fault = dice.random() < {"calm": 0.08, "storm": 0.5, "outage": 0.95}[mood]
        await anyio.sleep(dice.choice([0.0, dice.expovariate(10.0)]))
        if fault:
            await self._refuse(mood)
        meter.prompt_tokens = self.prompt_tokens(request)
        await anyio.sleep(dice.lognormvariate(-0.7, 1.0))
        come = dice.choice([request.n, dice.randrange(request.n) + 1])
        draws = [await self._draw(request, meter, fault, index) for index in range(come)]
        if dice.random() < 0.3:
            meter.rates = RateInfo(requests=dice.randrange(3), requests_reset=dice.random())
        self.tally["attempt: answered"] += 1
        self.tally["attempt: answered with several"] += come > 1
        several = tuple(draws) if request.n > 1 else ()
        return draws[0].model_copy(update={"usage": meter.usage, "draws": several})

    async def _draw(self, request: Request, meter: Meter, fault: bool, index: int) -> Completion:
        """Speak word by word, or break off."""
        dice, before = self.dice, meter.completion_tokens
        most = request.max_tokens - 2
        breaks = dice.choice([dice.randrange(most), most - 1])
        length = dice.choice([most, dice.randrange(most)])  # worst cases try a budget most
        words = [f"w{dice.randrange(9)}" for _ in range(length)]
        words += ["Answer:", str(dice.randrange(3))]
        for place, word in enumerate(words):
            if place % 8 == 0:
                await anyio.sleep(0.1)
            if place == breaks and fault:
                raise BackendUnavailable("reset while it answered")
            meter.completion_tokens += 1
            meter.hear(word + " ")
        usage = Usage(
            prompt_tokens=0 if index else self.prompt_tokens(request),
            completion_tokens=meter.completion_tokens - before,
        )
        return Completion(text=" ".join(words), usage=usage, model=self.name)

    def _mood(self) -> str:
        """Return the mood of this half minute."""
        moods = ["calm"] * 4 + ["storm", "outage"]
        return Random(f"{self.salt}|{anyio.current_time() // 30}").choice(moods)

    async def _refuse(self, mood: str) -> None:
        """Raise one of the failures that come before the first token; or go on, to break later."""
        dice = self.dice
        kind = dice.randrange(12) if mood != "storm" else dice.randrange(4)
        if kind <= 2:
            after = dice.choice([None, 0.0, 1.0, 20.0, 3600.0])
            raise RateLimited("slow down", retry_after=after)
        if kind <= 6:
            raise BackendUnavailable("failed", status=dice.choice([500, 502, 503, 529]))
        if kind == 7:
            raise BackendUnavailable("connection refused")
        if kind == 8:
            await anyio.sleep(120.0)
            raise BackendTimeout("stalled before the first byte")
        if kind == 9:
            raise InvalidResponse("truncated JSON", status=200)
        if kind == 10 and dice.random() < 0.2:
            raise dice.choice([AuthenticationError("key"), ContextLengthExceeded("too long")])
