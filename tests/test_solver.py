from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

import tts
from tests.contracts.roles import actor, play, seeded_latency
from tts import Budget, ConfigError, Pipeline, Solution, Trace
from tts.backends import Given, Price
from tts.layers import Record
from tts.messages import Request
from tts.solver import open_solver
from tts.testing import ScriptedBackend, virtual_run

FOUR = {"use": "self_consistency", "samples": 4, "stop": "never"}


def test_solve_sync_without_a_loop() -> None:
    assert tts.solve_sync("q", FOUR, model=actor(), seed=3).samples == 4


@pytest.mark.anyio
async def test_solve_sync_inside_a_running_loop_gives_the_same() -> None:
    inside = tts.solve_sync("q", FOUR, model=actor(), seed=3)
    outside = await tts.solve("q", FOUR, model=actor(), seed=3)
    assert inside.candidates == outside.candidates


@pytest.mark.anyio
async def test_solve_sync_raises_inside_a_running_loop() -> None:
    with pytest.raises(ConfigError, match="unknown strategy"):
        tts.solve_sync("q", "none", model=actor())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"problem": " "}, "empty"),
        ({"strategy": "self_consistensy"}, "did you mean 'self_consistency'"),
        ({"strategy": {"use": "best_of_n", "samples": -1}}, "samples"),
        ({"model": "gpt"}, "unknown backend 'gpt'"),
        ({"budget": {"total_token": 3}}, "'budget.total_token'; did you mean 'total_tokens'?"),
        ({"budget": 3}, "budget: give a mapping with total_tokens, calls, seconds or usd, not 3"),
        ({"budget": {"total_tokens": 0}}, "total_tokens"),
    ],
)
def test_wrong_argument_is_a_config_error_of_one_line(
    arguments: dict[str, object], words: str
) -> None:
    values = {"problem": "q", "strategy": FOUR, "model": actor()} | arguments
    with pytest.raises(ConfigError, match=words) as raised:
        tts.solve_sync(**values)  # type: ignore[arg-type]  # wrong on purpose
    assert "\n" not in str(raised.value)


class NoPrice:
    name = "almost"
    capabilities = tts.Capabilities()

    def prompt_tokens(self, request: tts.Request) -> int:
        return 0

    async def generate(self, request: tts.Request, meter: tts.Meter) -> tts.Completion:
        raise AssertionError


def test_almost_a_backend_is_told_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="NoPrice is no backend: it lacks price"):
        tts.solve_sync("q", FOUR, model=NoPrice())  # type: ignore[arg-type]  # wrong on purpose


class Returns(tts.Provider, name="returns"):
    def open(self) -> ScriptedBackend:  # type: ignore[override]  # wrong on purpose
        return actor()


class Yields(tts.Provider, name="yields"):
    async def open(self) -> AsyncIterator[ScriptedBackend]:  # type: ignore[override]  # likewise
        yield actor()


class Awaits(tts.Provider, name="awaits"):
    async def open(self) -> ScriptedBackend:  # type: ignore[override]  # likewise
        return actor()


@pytest.mark.parametrize("provider", [Returns(), Yields(), Awaits()])
def test_provider_that_opens_no_context_is_told_how(provider: tts.Provider) -> None:
    with pytest.raises(ConfigError, match="asynccontextmanager"):
        tts.solve_sync("q", FOUR, model=provider)


def test_interrupt_answers_with_what_was_found() -> None:
    backend = ScriptedBackend(play, latency=lambda request: 1.0 + request.ticket)

    async def main() -> Solution:
        pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=FOUR)  # type: ignore[arg-type]  # parsed by the field
        async with open_solver(pipeline) as solver, anyio.create_task_group() as tasks:

            async def interrupt() -> None:
                await anyio.sleep(2.5)
                solver.interrupt()

            tasks.start_soon(interrupt)
            return await solver.solve(pipeline.problem("q"))
        raise AssertionError

    solution = virtual_run(main)
    assert (solution.samples, solution.status) == (2, "budget_exhausted")
    assert solution.usage.cancelled_calls == 2
    assert backend.active == 0


def test_solver_that_was_interrupted_starts_nothing() -> None:
    backend = actor()

    async def main() -> Solution:
        pipeline = Pipeline(models={"m": Given(backend=backend)}, strategy=FOUR)  # type: ignore[arg-type]  # parsed by the field
        async with open_solver(pipeline) as solver:
            solver.interrupt()
            return await solver.solve(pipeline.problem("q"))

    solution = virtual_run(main)
    assert (solution.answer, solution.status) == (None, "budget_exhausted")
    assert backend.requests == []


def test_problems_of_one_solver_share_the_limit_on_calls() -> None:
    backend = actor(seeded_latency(0.1))

    async def main() -> None:
        pipeline = Pipeline(models={"m": Given(backend=backend, concurrency=3)}, strategy=FOUR)  # type: ignore[arg-type]  # parsed by the field
        async with open_solver(pipeline) as solver, anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(solver.solve, pipeline.problem("q"))

    virtual_run(main)
    assert backend.most_active == 3


def test_seconds_end_a_run_with_what_was_found() -> None:
    backend = ScriptedBackend(play, latency=lambda request: 1.0 + request.ticket)

    async def main() -> Solution:
        return await tts.solve("q", FOUR, model=backend, budget=Budget(seconds=2.5))

    solution = virtual_run(main)
    assert (solution.samples, solution.status) == (2, "budget_exhausted")


NOTEBOOK = """
from tts import Solution, Strategy

class Typed(Strategy, name="typed"):
    async def solve(self, problem, run):
        return Solution(answer=(await run.generate(run.prompt("solve", problem=problem))).text)
"""


def test_strategy_typed_at_a_prompt_needs_no_file() -> None:
    namespace: dict[str, object] = {"__name__": "nowhere"}
    exec(NOTEBOOK, namespace)
    typed = namespace["Typed"]()  # type: ignore[operator]  # a class from a text
    assert tts.solve_sync("q", typed, model=ScriptedBackend(["7"])).answer == "7"


def test_model_may_be_a_mapping_or_a_provider() -> None:
    mapping = {"backend": "reference", "sampling": {"max_tokens": 8}}
    from_mapping = tts.solve_sync("Facts:\nhats = 9\nQuestion: hats?", FOUR, model=mapping)
    provider = tts.Provider.parse(mapping)
    from_provider = tts.solve_sync("Facts:\nhats = 9\nQuestion: hats?", FOUR, model=provider)
    assert from_mapping.candidates == from_provider.candidates


@pytest.mark.parametrize(
    ("budget", "kind", "spent"),
    [
        (Budget(calls=2), "calls", 2),
        (Budget(total_tokens=1100), "tokens", None),
        (Budget(usd=0.0011), "usd", None),
        (Budget(seconds=1.5), "seconds", 1.5),
        (Budget(seconds=9.0, calls=2), "calls", 2),
    ],
)
def test_the_limit_that_ended_a_run_is_named(
    budget: Budget, kind: str, spent: float | None
) -> None:
    price = Price(input=1.0, output=1.0)
    backend = ScriptedBackend(play, latency=lambda r: 0.5 + r.ticket, price=price)
    records: list[Record] = []
    trace = Trace(records.append)
    solution = virtual_run(lambda: tts.solve("q", FOUR, model=backend, budget=budget, trace=trace))
    exhausted = solution.exhausted
    assert solution.status == "budget_exhausted"
    assert exhausted is not None
    assert (exhausted.kind, exhausted.limit) == (kind, next(iter(_limits(budget, kind))))
    if spent is not None:
        assert exhausted.spent == spent
    assert 0 < exhausted.spent <= exhausted.limit
    assert solution.report()["exhausted"] == records[-1]["exhausted"] == exhausted.model_dump()


def _limits(budget: Budget, kind: str) -> list[float]:
    return [getattr(budget, {"tokens": "total_tokens"}.get(kind, kind))]


def test_a_run_that_was_not_ended_names_no_limit() -> None:
    solution = tts.solve_sync("q", FOUR, model=actor(), budget=Budget(calls=4))
    assert (solution.status, solution.exhausted) == ("ok", None)


def test_a_budget_that_a_provider_overspends_is_told() -> None:
    class Greedy(ScriptedBackend):
        def prompt_tokens(self, request: Request) -> int:
            return 1 if request not in self.requests else 5000

    budget = Budget(total_tokens=5000)
    one = FOUR | {"samples": 1}
    solution = virtual_run(lambda: tts.solve("q", one, model=Greedy(play), budget=budget))
    assert solution.status == "ok"
    assert solution.exhausted is not None
    assert solution.exhausted.spent > solution.exhausted.limit == 5000
