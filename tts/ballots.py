"""Collective votes: they weigh candidates against each other, or have them judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Self

from pydantic import Field, model_validator

from tts.problem import Candidate
from tts.run import Run
from tts.verifiers import Verifier, YesNo
from tts.votes import Confidence, Vote

__all__ = ["Borda", "Verified", "borda"]


def borda(scores: Sequence[float | None], power: float) -> list[float | None]:
    """Return Borda weights: `((n - rank + 1) / n) ** power`, the best of n scores having rank 1.

    Equal scores share the mean weight of their ranks, so that no order of theirs matters.

    Args:
        scores: Higher is better; None is not ranked.
        power: 0 counts every ranked one alike; large values leave the decision to the best.

    >>> borda([0.2, None, 0.9, 0.2], power=1.0)
    [0.5, None, 1.0, 0.5]
    """
    ranked = sorted((score, index) for index, score in enumerate(scores) if score is not None)
    weights: list[float | None] = [None] * len(scores)
    place = 0
    for _, equals in groupby(ranked, key=lambda pair: pair[0]):
        indices = [index for _, index in equals]
        places = range(place + 1, place + 1 + len(indices))
        shared = math.fsum((at / len(ranked)) ** power for at in places) / len(indices)
        for index in indices:
            weights[index] = min(shared, 1.0)
        place = places[-1]
    return weights


class Borda(Vote, name="borda"):
    """Weigh candidates by the ranks of their weights in another vote.

    The best of n has the weight 1, rank r has `((n - r + 1) / n) ** power`: only the order of the
    other vote's weights matters, not their scale.

    Cost: that of the vote by which they are ranked.
    Source: Kang et al. 2025, arXiv:2502.18581 (there by self-certainty; equal
    scores, which it leaves to chance, share their weights here).
    """

    is_collective = True

    by: Vote = Confidence()
    """The vote whose weights rank the candidates."""
    power: Annotated[float, Field(ge=0.0, le=100.0)] = 0.5
    """0 is the plain vote."""

    def roles(self) -> Mapping[str, frozenset[str]]:
        """Return those of the other vote."""
        return self.by.roles()

    def alternatives(self) -> int:
        """Return those of the other vote."""
        return self.by.alternatives()

    def weight(self, candidate: Candidate) -> float:
        """Return 1, provisionally: a rank needs the others."""
        return 1.0

    async def weigh(
        self, candidates: Sequence[Candidate], run: Run
    ) -> list[tuple[Candidate, float | None]]:
        """Weigh by the other vote, and rank."""
        weighed = await self.by.weigh(candidates, run)
        weights = borda([weight for _, weight in weighed], self.power)
        return [(one, weight) for (one, _), weight in zip(weighed, weights, strict=True)]


class Verified(Vote, name="verified"):
    """Weigh candidates by a verifier's scores: argmax_a sum_i v(c_i) 1[a_i = a].

    Candidates that could not be judged abstain; if fewer than half could, each counts once.

    Cost: the verifier's calls, after all candidates are drawn.
    Source: Li et al. 2022, arXiv:2206.02336 (there with a trained verifier).
    """

    is_collective = True

    verifier: Verifier = YesNo()
    """What scores them."""
    sharpness: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None
    """None takes scores as weights, which they are if they lie in [0, 1]; else the weight is
    `exp(sharpness * (score - best score))`."""

    @model_validator(mode="after")
    def _has_weights(self) -> Self:
        if self.sharpness is None and not self.verifier.is_share:
            raise ValueError(
                f"scores of {self.verifier.name!r} need not lie in [0, 1]: set sharpness, "
                "as in {use: verified, verifier: logprob, sharpness: 20}"
            )
        return self

    def roles(self) -> Mapping[str, frozenset[str]]:
        """Return `solve` and what the verifier asks."""
        needs = self.verifier.needs
        roles = dict.fromkeys(["solve", *self.verifier.roles, *needs])
        return {role: needs.get(role, frozenset()) for role in roles}

    def weight(self, candidate: Candidate) -> float:
        """Return 1, provisionally: the verifier has not been asked."""
        return 1.0

    async def weigh(
        self, candidates: Sequence[Candidate], run: Run
    ) -> list[tuple[Candidate, float | None]]:
        """Let the verifier score all candidates, and weigh them by their scores."""
        scores = await self.verifier.scores(run.problem, candidates, run)
        judged = [score for score in scores if score is not None]
        is_known = 2 * len(judged) >= len(candidates)
        weights = self._weights(scores) if is_known else iter([1.0] * len(candidates))
        scored = (
            one.model_copy(update={"score": s}) for one, s in zip(candidates, scores, strict=True)
        )
        return list(zip(scored, weights, strict=True))

    def _weights(self, scores: Sequence[float | None]) -> Iterator[float | None]:
        best = max(score for score in scores if score is not None)
        for score in scores:
            if score is None or self.sharpness is None:
                yield score
            else:
                yield math.exp(self.sharpness * (score - best))
