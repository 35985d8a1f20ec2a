"""Best-of-n: sample candidates, keep the one a verifier likes best."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveInt

from tts.problem import Problem, Solution
from tts.run import Run
from tts.strategy import Strategy
from tts.verifiers import MeanLogprob, Verifier
from tts.votes import Tally

__all__ = ["BestOfN"]


class BestOfN(Strategy, name="best_of_n"):
    """Sample n candidates and answer with the highest score: argmax_i v(c_i), ties to the first.

    Candidates that the verifier could not judge are left out; if it could judge fewer than half,
    the majority decides.

    Cost: `samples` completions, one call deep, and the verifier's calls after them.
    Source: Cobbe et al. 2021, arXiv:2110.14168, section 4 (there with a trained verifier).
    """

    samples: PositiveInt = 16
    """Candidates."""
    verifier: Verifier = MeanLogprob()
    """What scores them."""
    quorum: PositiveInt = 1
    """Candidates that must survive failing calls."""

    def roles(self) -> tuple[str, ...]:
        """Return `solve` and the roles that the verifier asks."""
        return ("solve", *self.verifier.roles)

    def needs(self) -> Mapping[str, frozenset[str]]:
        """Return what the verifier needs of each role's model."""
        return self.verifier.needs

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Sample, score, choose."""
        prompt = run.prompt("solve", problem=problem)
        logprobs = "logprobs" in self.verifier.needs.get("solve", ())
        async with run.sample(
            prompt, self.samples, quorum=self.quorum, logprobs=logprobs
        ) as candidates:
            answered = [candidate async for candidate in candidates if candidate.answer is not None]
        scores = await self.verifier.scores(problem, answered, run) if answered else []
        scored = [
            candidate.model_copy(update={"score": score})
            for candidate, score in zip(answered, scores, strict=True)
        ]
        judged = [candidate for candidate in scored if candidate.score is not None]
        if not judged or 2 * len(judged) < len(answered):
            return Tally.of(scored).solution()
        best = max(judged, key=lambda candidate: (candidate.score, -candidate.ticket))
        return Solution(answer=best.answer, text=best.text, candidates=tuple(scored))
