"""A growing calibration set that does not depend on which call finishes first."""

from __future__ import annotations

from tts.errors import ConfigError
from tts.stopping.conformal import Rank, Scores

__all__ = ["TicketedScores"]


class TicketedScores:
    """Scores enter in order of their tickets, however late they arrive.

    A score that is compared has ticket t; what it is compared with are the scores of tickets up
    to t - lag, all of which must be resolved by then. Calls finish short ones first: a set that
    grew in order of completion would hold too many of those.

    Args:
        lag: Tickets that may be under way at once; at least 1.

    Raises:
        ConfigError: If the lag is not positive.

    >>> scores = TicketedScores(lag=2)
    >>> scores.resolve(1, 5.0); scores.resolve(0, None)
    >>> scores.rank(4.0, ticket=3).n
    1
    """

    def __init__(self, lag: int) -> None:
        if lag < 1:
            raise ConfigError(f"at least one ticket is under way, got a lag of {lag}")
        self._lag = lag
        self._resolved: dict[int, float | None] = {}

    def resolve(self, ticket: int, score: float | None) -> None:
        """Record what became of a ticket; None if it failed or was cancelled.

        Raises:
            ConfigError: If the ticket was resolved before.
        """
        if ticket in self._resolved:
            raise ConfigError(f"ticket {ticket} was resolved before")
        self._resolved[ticket] = score

    def is_ready(self, ticket: int) -> bool:
        """Return whether all that a ticket is compared with is resolved."""
        return all(early in self._resolved for early in range(ticket - self._lag + 1))

    def rank(self, score: float, *, ticket: int) -> Rank:
        """Return where the score of a ticket stands among those of tickets up to ticket - lag.

        Raises:
            ConfigError: If one of them is not resolved: start a ticket only once it is ready.
        """
        if not self.is_ready(ticket):
            raise ConfigError(
                f"ticket {ticket} is compared before those up to {ticket - self._lag}"
            )
        early = (self._resolved[each] for each in range(ticket - self._lag + 1))
        return Scores(one for one in early if one is not None).rank(score)
