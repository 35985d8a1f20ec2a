"""A verifier that lets a model check a solution line by line, and reads how sure each mark is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import PositiveInt

from tts.drafts import as_draft
from tts.messages import TokenLogprob
from tts.problem import Candidate, Problem
from tts.run import Run
from tts.verifiers import Verifier

__all__ = ["Critique", "soundness"]

_MARK = re.compile(r"\b(ok|wrong)\W*$", re.IGNORECASE | re.MULTILINE)
_VERDICT = re.compile(r"\bcorrect:\W*(yes|no)\b", re.IGNORECASE)
_GOOD = frozenset({"ok", "yes"})


class Critique(Verifier, name="critique"):
    """Let the role `critique` do each step again and mark it; score how probably all marks are ok.

    The score is the product over the marks of P(ok), and of P(yes) at the verdict, with the
    probabilities that the critic gave to its own words: so two solutions that pass differ by how
    nearly they failed. Without log-probabilities it is 1 or 0.

    Cost: one call a candidate, about as long as the candidate, all at once.
    Source: the product over steps of Lightman et al. 2023, arXiv:2305.20050, section 2.5 (there
    with a trained reward model); each step done again before it is marked, as in the generative
    verifiers of Zhang et al. 2024, arXiv:2408.15240, section 3.
    """

    roles = ("critique",)
    is_share: ClassVar[bool] = True

    bound: PositiveInt = 1024
    """Most tokens of a candidate that it is shown."""

    async def scores(
        self, problem: Problem, candidates: Sequence[Candidate], run: Run
    ) -> list[float | None]:
        """Return scores in [0, 1]; None where the critic came to no verdict, which is counted."""
        sees = run.capabilities("critique").logprobs

        async def score(candidate: Candidate) -> float | None:
            shown = as_draft(run, candidate, self.bound)
            prompt = run.prompt("critique", problem=problem, solution=shown)
            completion = await run.generate(prompt, temperature=0.0, logprobs=sees)
            found = soundness(completion.visible, completion.logprobs or ())
            if found is None:
                run.count_parse_failure()
            return found

        return await run.map(score, candidates, failures="skip")


def soundness(critique: str, logprobs: Sequence[TokenLogprob] = ()) -> float | None:
    r"""Return how probably a critique passes a solution, in [0, 1]; None without a verdict.

    Args:
        critique: Lines that end in `ok` or `wrong`, and a verdict, `Correct: Yes` or `Correct: No`.
        logprobs: Of its tokens, in their order; they are used if they spell the critique.

    >>> soundness("1. 2 + 2 = 4 ok\nCorrect: Yes"), soundness("1. 2 + 2 = 4 wrong\nCorrect: No")
    (1.0, 0.0)
    """
    verdicts = list(_VERDICT.finditer(critique))
    if not verdicts:
        return None
    marks = [*_MARK.finditer(critique, 0, verdicts[-1].start()), verdicts[-1]]
    sure = _certainties(critique, logprobs)
    share = 1.0
    for mark in marks:
        certainty = sure.get(mark.start(1), 1.0)
        share *= certainty if mark[1].casefold() in _GOOD else 1.0 - certainty
    return share


def _certainties(text: str, logprobs: Sequence[TokenLogprob]) -> dict[int, float]:
    """Return the probability of the token that begins, spaces aside, at each place of the text."""
    start = "".join(each.token for each in logprobs).find(text) if logprobs else -1
    if start < 0:
        return {}
    found, place = dict[int, float](), -start
    for each in logprobs:
        blank = len(each.token) - len(each.token.lstrip())
        found[place + blank] = math.exp(min(0.0, each.logprob))
        place += len(each.token)
    return found
