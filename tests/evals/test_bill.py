"""What calls have cost is written down when they end, however they end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.sums import Sums, backend, suite
from tts import ConfigError, Message, Request
from tts.backends import Meter, Price
from tts.errors import BackendUnavailable
from tts.evals import bill as bill_module
from tts.evals.bill import Bill, open_bill
from tts.evals.harness import Harness
from tts.evals.keeping import Kept, open_calls
from tts.evals.store import RunStore
from tts.evals.tries import Spent
from tts.layers import Layer
from tts.messages import Completion
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

ASKED = Request(messages=(Message(role="user", content="two words"),), seed=1)
SPENT = st.builds(
    Spent,
    calls=st.integers(0, 9),
    prompt_tokens=st.integers(0, 10**9),
    completion_tokens=st.integers(0, 10**9),
    cost_usd=st.none() | st.floats(0.0, 1e3),
)


class Starts(Layer):
    """Says that a call leaves, as the layer of permits does."""

    async def generate(self, request: Request, meter: Meter) -> Completion:
        meter.start()
        return await self.inner.generate(request, meter)


@contextmanager
def opened(path: Path | str) -> Iterator[Bill]:
    with (
        closing(sqlite3.connect(path, isolation_level=None, timeout=0.0)) as connection,
        open_bill(connection) as bill,
    ):
        yield bill


def drop(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE bill")


@given(st.lists(SPENT))
def test_a_bill_is_the_sum_of_what_is_on_it(parts: list[Spent]) -> None:
    with opened(":memory:") as bill:
        for part in parts:
            bill.add(part)
        found, wanted = bill.total(), Spent.sum(parts)
    assert found.model_copy(update={"cost_usd": 0.0}) == wanted.model_copy(update={"cost_usd": 0.0})
    assert found.cost_usd == (None if wanted.cost_usd is None else pytest.approx(wanted.cost_usd))


def test_several_processes_write_one_bill_and_none_waits_for_another(tmp_path: Path) -> None:
    one, path = Spent(calls=1, prompt_tokens=2, cost_usd=0.5), tmp_path / "calls.sqlite"
    with opened(path) as first, opened(path) as second:
        first.add(one)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        second.add(one)  # cannot be written yet
        assert (first.total().calls, second.total().calls) == (1, 2)
        holder.execute("COMMIT")
        second.add(one)
        holder.close()
        assert first.total() == second.total() == Spent(calls=3, prompt_tokens=6, cost_usd=1.5)
        assert (first.failure, second.failure) == (None, None)


def test_a_sum_that_can_no_longer_be_read_is_what_is_known_at_an_unknown_cost(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls.sqlite"
    with opened(path) as bill:
        bill.add(Spent(calls=3, prompt_tokens=5, cost_usd=0.5))
        assert bill.total() == Spent(calls=3, prompt_tokens=5, cost_usd=0.5)
        drop(path)
        bill.add(Spent(calls=4, prompt_tokens=50, cost_usd=0.5))
        known = Spent(calls=7, prompt_tokens=55, cost_usd=None)
        assert bill.total() == bill.total() == known
        bill.raise_to(Spent(calls=99))  # who cannot read it does not know what is missing
        assert bill.total() == known
        assert bill.failure is not None


def test_a_file_that_fails_is_told_and_costs_no_call(tmp_path: Path) -> None:
    with opened(tmp_path / "calls.sqlite") as bill:
        drop(tmp_path / "calls.sqlite")
        bill.add(Spent(calls=1))
        assert "no such table" in str(bill.failure)
    (tmp_path / "text").write_text("no database at all, but text of some length" * 20)
    with pytest.raises(ConfigError, match="cannot keep what calls cost"), opened(tmp_path / "text"):
        pass


@pytest.mark.parametrize("table", ["answers", "bill"])
def test_what_fails_is_told_and_not_what_still_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    with open_calls(tmp_path / "calls.sqlite") as calls:
        calls.store.connection.execute(f"DROP TABLE {table}")
        calls.bill.add(Spent(calls=1))
        calls.put(b"key", b"call")
        told = {"answers": "the kept calls are incomplete", "bill": "what was paid in all may"}
        (trouble,) = calls.troubles
        assert trouble.startswith(told[table])
    assert ("cannot be kept" in caplog.text) == (table == "answers")


def test_what_helps_is_told_and_kept_calls_are_not_given_up_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with open_calls(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("DROP TABLE bill")
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(ConfigError, match="locked; close what holds the file, or give another"),
        ):
            patch.setattr(bill_module, "_PATIENCE_MS", 0)
            with open_calls(path):
                pass
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE bill")
        other.execute("CREATE TABLE bill (something)")
    with pytest.raises(ConfigError, match="move the file away"), open_calls(path):
        pass
    path.write_text("no database at all, but text of some length" * 20)
    with pytest.raises(ConfigError, match="move the file away"), open_calls(path):
        pass
    with (
        pytest.raises(ConfigError, match="make the folder writable"),
        open_calls(path / "within" / "calls.sqlite"),
    ):
        pass


def test_what_a_bench_has_paid_is_told_though_the_file_fails_midway(tmp_path: Path) -> None:
    asked = 0

    def answer(request: Request) -> str:
        nonlocal asked
        asked += 1
        if asked == 3:
            drop(tmp_path / "calls.sqlite")
        return "a b c"

    harness = Harness(suite(ScriptedBackend(answer)), tmp_path / "calls.sqlite")

    async def main() -> list[str]:
        with RunStore(tmp_path / "run.sqlite") as store, harness.paying(store) as bill:
            store.plan(harness.cells, harness.examples)
            troubles = await harness.run(store)
            assert Spent.model_validate(store.about()["paid"]) == bill.total()
            return troubles if bill.total().calls == asked > 3 else []

    assert "what was paid in all may be more than is told" in virtual_run(main)[0]


def test_an_interrupt_while_calls_are_kept_takes_nothing_from_the_bill(tmp_path: Path) -> None:
    one = Spent(calls=1, prompt_tokens=2)
    with open_calls(tmp_path / "calls.sqlite") as calls:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(calls.store, "_sweep", interrupt)
            calls.put(b"a", b"call")
        calls.bill.add(one)
        calls.put(b"b", b"call")
        assert calls.troubles == []
    with open_calls(tmp_path / "calls.sqlite") as again:
        assert again.bill.total() == one
        assert (again.store.get(b"a"), again.store.get(b"b")) == (b"call", b"call")


def interrupt() -> None:
    raise KeyboardInterrupt


def test_answers_failures_and_what_was_cancelled_are_on_the_bill_and_kept_answers_are_not(
    tmp_path: Path,
) -> None:
    price = Price(input=1e6, output=1e6)
    model = ScriptedBackend(lambda request: "a b c", latency=1.0, price=price)

    async def main() -> None:
        with open_calls(tmp_path / "calls.sqlite") as calls:
            kept = Kept(Starts(model), calls, {})
            for _ in range(2):
                await kept.generate(ASKED, Meter())
            assert calls.bill.total() == Spent(
                calls=1, prompt_tokens=2, completion_tokens=3, cost_usd=5.0
            )
            meter = Meter()
            with anyio.move_on_after(0.5):
                await kept.generate(ASKED.model_copy(update={"seed": 2}), meter)
            assert meter.started
            assert calls.bill.total().calls == 2
            assert calls.bill.total().total_tokens == 5 + meter.total_tokens
            down = FlakyBackend(model, lambda request: True)
            with pytest.raises(BackendUnavailable):
                await Kept(Starts(down), calls, {"other": 1}).generate(ASKED, Meter())
            assert calls.bill.total().calls == 3
            with pytest.raises(BackendUnavailable):  # it never left
                await Kept(down, calls, {"other": 1}).generate(ASKED, Meter())
            assert calls.bill.total().calls == 3

    virtual_run(main)


@pytest.mark.parametrize("stop_after", [0, 3, 7])
def test_an_interrupted_bench_has_paid_what_its_model_was_paid(
    tmp_path: Path, stop_after: int
) -> None:
    """Checked by the model's own count; the second command pays for the rest."""
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return "Answer: 2"

    def told() -> int:
        with RunStore(tmp_path / "run.sqlite", read_only=True) as store:
            return Spent.model_validate(store.about()["paid"]).calls

    run = bench(tmp_path, answer)
    with pytest.raises(KeyError, match="stopped"):
        virtual_run(lambda: run(lambda: stop_after))
    assert told() == len(asked)
    virtual_run(lambda: run(lambda: 1000))
    assert told() == len(asked)
    (tmp_path / "calls.sqlite").unlink()  # nobody needs it to read the results
    virtual_run(lambda: run(lambda: 1000))
    assert told() == len(asked)


Bench: TypeAlias = Callable[[Callable[[], int]], Coroutine[Any, Any, None]]


def bench(folder: Path, answer: Callable[[Request], str]) -> Bench:
    """Return what runs a bench until its rows are more than it is told."""
    model = backend(answer, latency=1.0)

    async def run(most: Callable[[], int]) -> None:
        rows = 0

        def count(*_: object) -> None:
            nonlocal rows
            rows += 1
            if rows > most():
                raise KeyError("stopped")

        harness = Harness(suite(model, tasks=(Sums(),)), folder / "calls.sqlite", on_row=count)
        with RunStore(folder / "run.sqlite") as store:
            store.plan(harness.cells, harness.examples)
            await harness.run(store)

    return run
