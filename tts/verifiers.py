"""Verifiers: score candidates, so that the best one can be chosen instead of the most frequent."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from pydantic import ImportString, PositiveInt, field_serializer

from tts.drafts import as_draft
from tts.messages import TokenLogprob
from tts.problem import Candidate, Problem
from tts.registry import Component
from tts.run import Run
from tts.selection import choose

__all__ = ["Function", "Judge", "MeanLogprob", "Verifier", "YesNo"]


class Verifier(Component, group="tts.verifiers", label="verifier"):
    """Gives candidates scores; higher is better, None is "could not be judged", never "wrong"."""

    needs: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Abilities that the model of each role must have."""
    roles: ClassVar[tuple[str, ...]] = ()
    """Roles that it asks."""
    is_share: ClassVar[bool] = False
    """True if its scores lie in [0, 1], so that they can be weights."""

    @abstractmethod
    async def scores(
        self, problem: Problem, candidates: Sequence[Candidate], run: Run
    ) -> list[float | None]:
        """Score the candidates, in their order."""


class MeanLogprob(Verifier, name="logprob"):
    """Score by the mean log-probability of the candidate's own tokens. No call.

    Source: the length-normalised likelihood of Wang et al. 2022, arXiv:2203.11171, section 2.
    """

    needs = {"solve": frozenset({"logprobs"})}  # noqa: RUF012  # a ClassVar of the base

    async def scores(
        self, problem: Problem, candidates: Sequence[Candidate], run: Run
    ) -> list[float | None]:
        """Return the means, in (-inf, 0]."""
        return [candidate.completion.mean_logprob for candidate in candidates]


class YesNo(Verifier, name="yes_no"):
    """Ask the role `verify` whether a solution is correct; score by P(yes) / (P(yes) + P(no)).

    Cost: one call of one token a candidate, all at once.
    Source: P(True), Kadavath et al. 2022, arXiv:2207.05221, section 3; here with one answer at a
    time and the two answers' probabilities normalised.
    """

    needs = {"verify": frozenset({"top_logprobs"})}  # noqa: RUF012  # a ClassVar of the base
    roles = ("verify",)
    is_share = True

    bound: PositiveInt = 1024
    """Most tokens of a candidate that it is shown."""

    async def scores(
        self, problem: Problem, candidates: Sequence[Candidate], run: Run
    ) -> list[float | None]:
        """Return probabilities, in [0, 1]; None where neither yes nor no was likely."""
        alternatives = min(20, run.capabilities("verify").top_logprobs)

        async def score(candidate: Candidate) -> float | None:
            shown = as_draft(run, candidate, self.bound)
            prompt = run.prompt("verify", problem=problem, solution=shown)
            completion = await run.generate(
                prompt, temperature=0.0, max_tokens=1, logprobs=True, top_logprobs=alternatives
            )
            probability = _p_yes(completion.logprobs or ())
            if probability is None:
                run.count_parse_failure()
            return probability

        return await run.map(score, candidates, failures="skip")


class Judge(Verifier, name="judge"):
    """Show the role `select` all candidates, shuffled, and let it name the best one's number.

    Cost: one call. An answer that names no candidate is counted and scores nothing.
    """

    roles = ("select",)
    is_share = True

    bound: PositiveInt = 1024
    """Most tokens of each candidate that it is shown."""

    async def scores(
        self, problem: Problem, candidates: Sequence[Candidate], run: Run
    ) -> list[float | None]:
        """Return 1 for the chosen candidate and 0 for the others, or all None."""
        chosen = await choose(
            run, problem, [as_draft(run, each, self.bound) for each in candidates]
        )
        if chosen is None:
            return [None] * len(candidates)
        return [float(index == chosen) for index in range(len(candidates))]


class Function(Verifier, name="function"):
    """Score by a Python function of the problem and a candidate. No call.

    YAML names it: `{use: function, function: package.module.name}`. A candidate for which the
    function returns None or no finite number, or raises, has not been judged; that is counted.
    """

    function: ImportString[Callable[[Problem, Candidate], float | None]]
    """Takes the problem and a candidate, returns a score."""

    async def scores(
        self, problem: Problem, candidates: Sequence[Candidate], run: Run
    ) -> list[float | None]:
        """Return what the function says."""
        scores = [self._score(problem, candidate) for candidate in candidates]
        for _ in range(scores.count(None)):
            run.count_parse_failure()
        return scores

    def _score(self, problem: Problem, candidate: Candidate) -> float | None:
        try:
            score = self.function(problem, candidate)
        except Exception:  # a user's code: whatever it raises costs a judgement, not the answer
            return None
        return score if score is not None and math.isfinite(score) else None

    @field_serializer("function")
    def _name(self, function: Callable[..., object]) -> str:
        """A function by its path; an object that has none by its repr, for reading only."""
        name = getattr(function, "__qualname__", "")
        return f"{function.__module__}.{name}" if name.isidentifier() else repr(function)


def _p_yes(logprobs: Sequence[TokenLogprob]) -> float | None:
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in logprobs[0].top if logprobs else ():
        word = token.strip().casefold()
        if word in mass:
            mass[word] += math.exp(logprob)
    total = sum(mass.values())
    return mass["yes"] / total if total > 0 else None
