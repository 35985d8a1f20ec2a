"""Strategies inside strategies: nothing that was found or spent is lost."""

from __future__ import annotations

import pytest

import tts
from tts import Problem, Run, Solution, Strategy, Tally
from tts.backends import Retry
from tts.errors import NoQuorum
from tts.strategies.self_consistency import SelfConsistency
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run


class Wrapped(Strategy, name="wrapped"):
    """Solves by another strategy; may ask once more."""

    inner: Strategy = SelfConsistency(samples=5)
    asks_again: bool = False

    async def solve(self, problem: Problem, run: Run) -> Solution:
        solution = await run.solve(self.inner)
        if self.asks_again:
            await run.generate("once more", role="extra")
        return solution


def seven() -> ScriptedBackend:
    return ScriptedBackend(lambda request: "Answer: 7" if request.role == "solve" else "ok")


def test_candidates_of_a_nested_solve_are_kept() -> None:
    solution = tts.solve_sync("q", Wrapped(), model=seven())
    assert (solution.answer, solution.samples, solution.usage.calls) == ("7", 3, 3)
    assert solution.stopped_by is not None


def test_budget_that_ends_after_a_nested_solve_keeps_its_answer() -> None:
    budget = {"calls": 3}
    solution = tts.solve_sync("q", Wrapped(asks_again=True), model=seven(), budget=budget)
    assert (solution.answer, solution.status) == ("7", "budget_exhausted")


def test_call_that_fails_after_a_nested_solve_keeps_its_answer() -> None:
    backend = FlakyBackend(seven(), fails=lambda request: request.role == "extra")
    solution = tts.solve_sync("q", Wrapped(asks_again=True), model=backend)
    assert (solution.answer, solution.status) == ("7", "ok")


def test_parse_failures_of_a_nested_solve_are_counted_once() -> None:
    backend = ScriptedBackend(lambda request: "who knows")
    assert tts.solve_sync("q", Wrapped(), model=backend).parse_failures == 5


class Subproblem(Strategy, name="subproblem"):
    """Solves another problem first; its candidates are no votes for ours."""

    async def solve(self, problem: Problem, run: Run) -> Solution:
        await run.solve(SelfConsistency(samples=2), Problem(text="another"))
        return Tally().solution()


def test_candidates_of_another_problem_are_not_ours() -> None:
    solution = tts.solve_sync("q", Subproblem(), model=seven())
    assert (solution.samples, solution.status) == (0, "no_answer")


@pytest.mark.parametrize("samples", [16, 9])
def test_quorum_is_reached_before_a_rule_may_stop(samples: int) -> None:
    backend = FlakyBackend(seven(), fails=lambda request: request.ticket == 0)
    strategy = SelfConsistency(samples=samples, quorum=8)
    solution = virtual_run(lambda: tts.solve("q", strategy, model=backend))
    assert solution.samples >= 8


def test_quorum_that_cannot_be_reached_is_an_error() -> None:
    backend = FlakyBackend(seven(), fails=lambda request: request.ticket < 3)
    strategy = SelfConsistency(samples=10, quorum=8)
    with pytest.raises(NoQuorum):
        virtual_run(lambda: tts.solve("q", strategy, model=backend))


def test_completions_that_are_one_object_stay_apart() -> None:
    from tts.testing import completion

    one = completion("Answer: 7")

    class Constant(ScriptedBackend):
        async def generate(self, request: tts.Request, meter: tts.Meter) -> tts.Completion:
            return one

    solution = tts.solve_sync("q", SelfConsistency(samples=5), model=Constant([]))
    assert [candidate.ticket for candidate in solution.candidates] == [0, 1, 2]


def test_tokens_of_a_failed_call_are_on_the_critical_path() -> None:
    from tts.errors import BackendUnavailable

    class Fails(ScriptedBackend):
        async def generate(self, request: tts.Request, meter: tts.Meter) -> tts.Completion:
            if request.role == "extra":
                meter.prompt_tokens = 100
                raise BackendUnavailable("late")
            return await super().generate(request, meter)

    class Retries(Strategy, name="retries"):
        async def solve(self, problem: Problem, run: Run) -> Solution:
            with pytest.raises(BackendUnavailable):
                await run.generate("a", role="extra")
            return Tally.of([await run.candidate("b")]).solution()

    backend = Fails(lambda request: "Answer: 7")
    usage = virtual_run(lambda: tts.solve("q", Retries(), model=backend)).usage
    attempts = Retry().attempts
    assert usage.critical_tokens == usage.total_tokens == attempts * 100 + 3


def test_large_samples_make_few_tasks() -> None:
    backend = seven()
    strategy = SelfConsistency(samples=20_000, stop={"use": "never"})  # type: ignore[arg-type]  # parsed by the field
    solution = tts.solve_sync("q", strategy, model=backend, budget={"calls": 10})
    assert (solution.samples, solution.status) == (10, "budget_exhausted")


def test_vote_above_one_is_refused() -> None:
    from tts import Candidate, ConfigError, Vote

    class Heavy(Vote, name="heavy"):
        def weight(self, candidate: Candidate) -> float:
            return 10.0

    with pytest.raises(ConfigError, match=r"weights lie in \[0, 1\]"):
        tts.solve_sync("q", SelfConsistency(vote=Heavy()), model=seven())


def test_budget_that_holds_no_call_is_a_config_error() -> None:
    backend = seven()
    with pytest.raises(tts.ConfigError, match="max_tokens"):
        tts.solve_sync("q", "self_consistency", model=backend, budget={"total_tokens": 1000})
    assert backend.requests == []
