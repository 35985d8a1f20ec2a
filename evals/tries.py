"""What the tries of a problem have paid, and how much of it was in vain.

A run that failed, or that could not be judged, is tried again. Finished calls of the first try that
the second one asks for again are paid once, and are in its usage. All else that the first try paid
is lost: attempts that failed, and calls that nobody asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Self

from pydantic import Field

from tts.frozen import Frozen
from tts.ledger import RunUsage

__all__ = ["Earlier", "Spent", "Tried"]

_Count = Annotated[int, Field(ge=0)]
_DIGITS: Final = 12
"""Of dollars: far below a token's price, far above what adding and taking away floats leaves."""


class Spent(Frozen):
    """What some calls cost."""

    calls: _Count = 0
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    cost_usd: Annotated[float, Field(ge=0.0)] | None = 0.0
    """None if the price of any call is unknown."""

    @classmethod
    def of(cls, usage: RunUsage) -> Self:
        """Return what a run has used."""
        return cls.model_validate({name: getattr(usage, name) for name in cls.model_fields})

    @classmethod
    def sum(cls, parts: Iterable[Spent]) -> Spent:
        """Return what all of them cost together."""
        found = Spent()
        for part in parts:
            found = found.plus(part)
        return found

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def plus(self, more: Spent) -> Spent:
        """Return both together."""
        mine, other = self.cost_usd, more.cost_usd
        return Spent(
            calls=self.calls + more.calls,
            prompt_tokens=self.prompt_tokens + more.prompt_tokens,
            completion_tokens=self.completion_tokens + more.completion_tokens,
            cost_usd=None if mine is None or other is None else mine + other,
        )

    def less(self, part: Spent) -> Spent:
        """Return what is left without a part of it; nothing is ever less than 0."""
        if part == self:
            return Spent()  # at no cost, even if the price is unknown
        mine, other = self.cost_usd, part.cost_usd
        usd = None if mine is None or other is None else max(0.0, round(mine - other, _DIGITS))
        return Spent(
            calls=max(0, self.calls - part.calls),
            prompt_tokens=max(0, self.prompt_tokens - part.prompt_tokens),
            completion_tokens=max(0, self.completion_tokens - part.completion_tokens),
            cost_usd=usd,
        )


class Tried(Frozen):
    """What the tries of a problem have paid so far; the next one settles what is lost."""

    tries: _Count = 0
    killed: _Count = 0
    """Tries whose worker was killed: what they have paid is not known, and not in `paid`."""
    paid: Spent = Spent.model_construct()
    """For calls they made themselves: those that kept ones answered cost nothing."""
    made: dict[str, Spent] = Field(default_factory=dict)
    """Their finished calls, by the digest under which these are kept."""

    def settled(self, asked: Iterable[str]) -> Earlier:
        """Return what is lost.

        Args:
            asked: Digests of the kept calls that the next try was answered with.
        """
        again = Spent.sum(self.made[key] for key in set(asked) & self.made.keys())
        lost = self.paid.less(again)
        return Earlier(tries=self.tries, killed=self.killed, paid=self.paid, lost=lost)

    def and_one(self, paid: Spent, made: dict[str, Spent]) -> Tried:
        """Return these tries and one more."""
        paid, made = self.paid.plus(paid), self.made | made
        return Tried(tries=self.tries + 1, killed=self.killed, paid=paid, made=made)

    def and_killed(self) -> Tried:
        """Return these tries and one more, of which nobody lived to tell what it has paid."""
        return self.model_copy(update={"tries": self.tries + 1, "killed": self.killed + 1})


class Earlier(Frozen):
    """The tries of a problem before the one that its row tells of."""

    tries: _Count = 0
    killed: _Count = 0
    """Those whose worker was killed: what they have paid is not known, and in no cost."""
    paid: Spent = Spent.model_construct()
    """What they have paid in all."""
    lost: Spent = Spent.model_construct()
    """The part of it that was in vain: what the row's own try has not used again."""
