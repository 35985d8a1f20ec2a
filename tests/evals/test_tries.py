"""Problems that are tried again: nothing that was paid is forgotten, nothing is counted twice."""

from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.sums import Same, Sums, adds, backend, suite
from tts import Problem, Request, Run, Solution, Strategy
from tts.backends import Backend, Meter
from tts.cli.bench import _go_on
from tts.cli.bench_remarks import remarks
from tts.errors import BackendUnavailable
from tts.evals.executor import Job
from tts.evals.harness import Harness
from tts.evals.records import Row
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.evals.summary import summarise
from tts.evals.tasks.base import Example
from tts.evals.tries import Earlier, Spent, Tried
from tts.layers import Layer
from tts.messages import Completion
from tts.testing import virtual_run

WASTE = 7
"""Tokens that a failed attempt is charged with."""


class Charging(Layer):
    """Charges failed attempts; counts by itself all that is paid."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.paid = self.calls = 0

    def fails(self, request: Request) -> bool:
        return "!" in request.messages[-1].content

    async def generate(self, request: Request, meter: Meter) -> Completion:
        if self.fails(request):
            meter.start()
            meter.prompt_tokens = WASTE
            self.paid, self.calls = self.paid + WASTE, self.calls + 1
            raise BackendUnavailable("the server is down", status=501)
        completion = await self.inner.generate(request, meter)
        self.paid, self.calls = self.paid + meter.total_tokens, self.calls + 1
        return completion


class Steps(Strategy, name="steps"):
    """Asks the words that it is told to ask in this try: `a!` fails, `.` raises an error.

    A call is the same in another try if the same word stands at the same place.
    """

    told: ClassVar[dict[str, str]] = {}
    who: str = "one"

    async def solve(self, problem: Problem, run: Run) -> Solution:
        for word in self.told[self.who].split():
            if word == ".":
                raise RuntimeError("a bug")
            try:
                await run.generate(f"say {word}")
            except BackendUnavailable:
                continue
        return Solution(answer="2")


def grid(model: Charging, *names: str, **more: Any) -> Suite:
    strategies = {name: Steps(who=name) for name in names}
    given = {"tasks": (Sums(problems=1),), "strategies": strategies, "equal": (), **more}
    return suite(model, **given)  # type: ignore[arg-type]  # another fake


def fill(folder: Path, asked: Suite) -> dict[str, Row]:
    """Run a suite in a folder, on what is there; return its rows of problem 1 by strategy."""

    async def main() -> dict[str, Row]:
        with RunStore(folder / "run.sqlite") as store:
            harness = Harness(asked, folder / "calls.sqlite")
            store.plan(harness.cells, harness.examples)
            await harness.run(store)
            rows = {cell.strategy: store.row(cell.key, "1") for cell in harness.cells}
            return {name: row for name, row in rows.items() if row is not None}

    return virtual_run(main)


def total_paid(folder: Path) -> int:
    """Return the tokens that a folder's runs have paid, as it tells itself."""
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        return Spent.model_validate(store.about()["paid"]).total_tokens


def tries(folder: Path, model: Charging, *scripts: str, **more: Any) -> Row:
    """Return the row of a strategy that follows one script after the other."""
    for script in scripts:
        Steps.told["one"] = script
        row = fill(folder, grid(model, "one", **more))["one"]
    return row


def charging() -> Charging:
    return Charging(backend(lambda request: " ".join(request.messages[-1].content)))


def test_a_failed_attempt_is_lost_and_a_call_that_is_asked_again_is_not(tmp_path: Path) -> None:
    model = charging()
    row = tries(tmp_path, model, "a b! .", "a c")
    lost = row.earlier.lost
    assert row.status == "ok"
    assert (row.earlier.tries, lost.calls, lost.total_tokens) == (1, 1, WASTE)
    assert lost.cost_usd == pytest.approx(WASTE * 1e-6)
    assert (row.replayed_calls, row.tried) == (1, None)
    assert row.costs.total_tokens == row.usage.total_tokens + WASTE == model.paid
    assert row.costs.calls == model.calls == 3
    assert row.costs.cost_usd == pytest.approx((row.usage.cost_usd or 0) + WASTE * 1e-6)
    assert row.costs.critical_tokens == row.usage.critical_tokens


def test_a_kept_call_that_nobody_asks_again_is_lost(tmp_path: Path) -> None:
    model = charging()
    row = tries(tmp_path, model, "a b .", "c b")
    assert row.earlier.lost.calls == 1
    assert row.costs.total_tokens == model.paid


def test_each_try_carries_what_those_before_it_have_lost(tmp_path: Path) -> None:
    model = charging()
    first = tries(tmp_path, model, "a x! .")
    assert first.tried is not None
    assert (first.tried.tries, len(first.tried.made), first.earlier) == (1, 1, Earlier())
    second = tries(tmp_path, model, "a b x! .")
    assert second.tried is not None
    assert (second.tried.tries, len(second.tried.made), second.earlier.tries) == (2, 2, 1)
    last = tries(tmp_path, model, "a b")
    assert (last.earlier.tries, last.earlier.lost.total_tokens) == (2, 2 * WASTE)
    assert last.earlier.paid.total_tokens == model.paid == last.costs.total_tokens


def test_a_problem_that_says_something_else_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = charging()
    tries(tmp_path, model, "a b! .")
    other = Example(id="1", problem=Problem(text="1 + 1?"), answer="2")
    monkeypatch.setattr(Sums, "examples", lambda self: (other,))
    row = tries(tmp_path, model, "a")
    assert (row.status, row.earlier, row.costs) == ("ok", Earlier(), row.usage)


def test_what_was_not_judged_has_lost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Charging(backend(lambda request: "Answer: 13"))
    asked = suite(model, strategies={"vote": {"use": "self_consistency", "samples": 3}})  # type: ignore[arg-type]  # another fake
    open_rows = fill(tmp_path, asked)
    assert all(row.tried is not None for row in open_rows.values())

    async def check(self: Same, answer: str | None, text: str, example: Example) -> bool:
        return False

    monkeypatch.setattr(Same, "check", check)
    before = model.calls
    rows = fill(tmp_path, asked)
    assert model.calls == before  # judged from what is kept, not solved again
    assert {row.right for row in rows.values()} == {False}
    assert {(row.earlier.tries, row.tried) for row in rows.values()} == {(0, None)}
    assert all(row.costs == row.usage for row in rows.values())
    assert all(row.costs.total_tokens == open_rows[n].usage.total_tokens for n, row in rows.items())


def test_calls_of_other_cells_are_not_ones_own(tmp_path: Path) -> None:
    model = charging()
    Steps.told |= {"other": "a", "one": "a b ."}
    fill(tmp_path, grid(model, "other", "one"))
    Steps.told["one"] = "c b"
    one = fill(tmp_path, grid(model, "other", "one"))["one"]
    assert one.earlier.lost == Spent()  # `a` was the other's, who has used it
    assert one.earlier.paid.calls == one.replayed_calls == 1
    assert one.costs == one.usage


def test_a_killed_run_has_lost_nothing_that_was_finished(tmp_path: Path) -> None:
    """No row is written: what was finished is in the usage, answered by kept calls."""
    model = charging()
    Steps.told["one"] = "a b"
    asked = grid(model, "one")

    async def killed() -> None:
        with RunStore(tmp_path / "run.sqlite") as store:

            def dies(*_: object) -> None:
                raise KeyError("killed")

            harness = Harness(asked, tmp_path / "calls.sqlite")
            with pytest.raises(KeyError), pytest.MonkeyPatch.context() as patch:
                patch.setattr(store, "add", dies)
                await harness.run(store)

    virtual_run(killed)
    row = fill(tmp_path, asked)["one"]
    assert (row.earlier, row.replayed_calls) == (Earlier(), 2)
    assert row.costs.total_tokens == model.paid == total_paid(tmp_path)


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "x!", "y!"]), max_size=5, unique=True)


@settings(max_examples=25)
@given(st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_the_costs_are_what_all_tries_have_paid(failed: list[list[str]], last: list[str]) -> None:
    """Checked by the model's own count, which knows nothing of rows."""
    model = charging()
    with TemporaryDirectory() as folder:
        row = tries(Path(folder), model, *(" ".join([*each, "."]) for each in failed))
        assert row.tried is not None
        assert (row.tried.paid.total_tokens, row.tried.paid.calls) == (model.paid, model.calls)
        row = tries(Path(folder), model, " ".join(last))
    assert (row.costs.total_tokens, row.costs.calls) == (model.paid, model.calls)
    assert row.earlier.tries == len(failed)


@settings(max_examples=25)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=2, max_size=3), st.booleans())
def test_what_several_cells_pay_adds_up(scripts: list[tuple[list[str], ...]], share: bool) -> None:
    """Paid = usage - replays of calls that were not one's own + lost, and the folder's sum."""
    model, rows = charging(), dict[str, Row]()
    with TemporaryDirectory() as folder:
        for number, words in enumerate(scripts):
            end = [] if number == len(scripts) - 1 else ["."]
            told = [" ".join([*each, *each[:1], *end]) for each in words]
            Steps.told |= dict(zip(("one", "two"), told, strict=True))
            asked = grid(model, "one", "two", share=share)
            rows = fill(Path(folder), asked)
            assert total_paid(Path(folder)) == model.paid
    for row in rows.values():
        own = row.earlier.paid.less(row.earlier.lost).total_tokens
        paid = row.earlier.paid.total_tokens + row.usage.total_tokens - row.replayed_tokens
        assert 0 <= own <= row.replayed_tokens
        assert paid == row.costs.total_tokens - (row.replayed_tokens - own)


def test_a_failed_try_that_replaces_nothing_is_paid_for_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = charging()
    first = tries(tmp_path, model, "a", keep="answers")
    row = first.model_copy(update={"right": None, "check_failure": "no verdict"})
    assert row.tried is None
    with RunStore(tmp_path / "again.sqlite") as store:
        store.add(row.model_copy(update={"tried": Tried(tries=1, paid=Spent(prompt_tokens=3))}))
        failed = Tried(tries=2, paid=Spent(prompt_tokens=10))
        store.add(row.model_copy(update={"status": "failed", "tried": failed}))
        kept = store.row(row.cell, row.example)
    assert kept is not None
    assert (kept.status, kept.tried) == ("ok", failed)


def test_what_is_no_longer_in_the_suite_was_paid_for(tmp_path: Path) -> None:
    model = charging()
    Steps.told |= {"one": "a b", "two": "c d!"}
    fill(tmp_path, grid(model, "one", "two"))
    Steps.told["one"] = "a e"
    with RunStore(tmp_path / "run.sqlite") as store:
        harness = Harness(grid(model, "one", seeds=(1,)), tmp_path / "calls.sqlite")
        virtual_run(lambda: harness.run(store))
    assert total_paid(tmp_path) == model.paid


def test_figures_hold_what_was_lost_and_say_so(tmp_path: Path) -> None:
    row = tries(tmp_path, charging(), "a b! .", "a")
    with RunStore(tmp_path / "run.sqlite") as store:
        (found,) = summarise(store)
    assert found.means["total_tokens"] == row.costs.total_tokens > row.usage.total_tokens
    assert found.means["critical_tokens"] == row.usage.critical_tokens
    told = found.report()["repeated"]
    assert told.pop("usd") == pytest.approx(WASTE * 1e-6)
    assert told == {"problems": 1, "tries": 1, "tokens": WASTE, "killed": 0}


class Shaky(Charging):
    """Refuses and charges the first attempt at a third of its calls; down, it only fails."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.is_down, self.refused = False, set[int | None]()

    def fails(self, request: Request) -> bool:
        return self.is_down and "2 + 2" in request.messages[-1].content

    async def generate(self, request: Request, meter: Meter) -> Completion:
        third = (request.seed or 0) % 3 == 0
        if third and request.seed not in self.refused and not self.fails(request):
            self.refused.add(request.seed)
            meter.start()
            meter.prompt_tokens, meter.completion_tokens = WASTE, 1
            raise BackendUnavailable("try again", status=503)
        return await super().generate(request, meter)


@pytest.mark.parametrize("breaks_down", [False, True])
def test_all_samples_of_a_pool_cost_as_much_as_the_pool(tmp_path: Path, breaks_down: bool) -> None:
    """Where calls failed and were charged, and problems were tried again, too."""
    model = Shaky(backend(adds))
    vote = {"vote": {"use": "self_consistency", "samples": 8, "stop": "never"}}
    asked = suite(model, tasks=(Sums(problems=5),), strategies=vote)  # type: ignore[arg-type]  # another fake
    model.is_down = breaks_down
    fill(tmp_path, asked)
    model.is_down = False
    rows = fill(tmp_path, asked)
    with RunStore(tmp_path / "run.sqlite") as store:
        found = {each.strategy: each for each in summarise(store, ("total", "usd"))}
    assert [(one.pairs, one.samples, one.note) for one in found["vote"].equal] == [(5, 8.0, "")] * 2
    assert len(model.refused) > 5
    assert found["baseline"].repeated.problems == found["vote"].repeated.problems == breaks_down
    assert found["baseline"].curve[-1].total_tokens == found["baseline"].means["total_tokens"]
    drawn = sum(draw.prompt_tokens + draw.completion_tokens for draw in rows["baseline"].draws)
    assert rows["baseline"].usage.total_tokens > drawn  # failed attempts are charged


def test_a_job_carries_earlier_tries_to_another_process(tmp_path: Path) -> None:
    model = charging()
    row = tries(tmp_path, model, "a b! .")
    asked = grid(model, "one")
    with RunStore(tmp_path / "run.sqlite") as store:
        (job,) = Harness(asked, tmp_path / "calls.sqlite").jobs(store)
    carried = pickle.loads(pickle.dumps(job))
    assert carried == job
    assert carried.tried == {row.cell: row.tried}
    killed = carried.and_killed().and_killed().lost(row.cell, "killed")
    assert killed.earlier.lost == killed.earlier.paid == row.tried.paid  # type: ignore[union-attr]  # it is open
    assert killed.tried is not None
    assert (killed.tried.tries, killed.tried.made) == (3, row.tried.made)  # type: ignore[union-attr]  # likewise


def test_what_killed_tries_have_paid_is_said_to_be_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = suite(backend(), tasks=(Sums(problems=1),), equal=())
    with RunStore(tmp_path / "run.sqlite") as store:
        harness = Harness(asked, tmp_path / "calls.sqlite")
        store.plan(harness.cells, harness.examples)
        for job in harness.jobs(store):
            for key in job.cells:
                store.add(job.and_killed().and_killed().lost(key, "killed"))
        _go_on(store, harness)
    assert "tried again: 2 runs that failed" in capsys.readouterr().err
    rows = fill(tmp_path, asked)
    assert [row.earlier for row in rows.values()] == [Earlier(tries=2, killed=2), Earlier()]
    with RunStore(tmp_path / "run.sqlite") as store:
        found = summarise(store)
    assert [each.report()["repeated"]["killed"] for each in found] == [2, 0]
    (line,) = [line for line in remarks(found) if "tried again" in line]
    assert "2 earlier tries ended with a killed worker" in line  # of both cells together
    assert line.endswith("is not known.")


def test_a_job_that_was_never_tried_carries_nothing() -> None:
    assert Job(Sums().examples()[0], ("one",)).tried == {}
    assert Tried().settled(["a"]) == Earlier()
