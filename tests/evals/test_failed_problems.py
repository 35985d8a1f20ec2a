"""Problems that failed: their rows stay, are tried again, and give way to nothing worse."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.evals.sums import Same, backend, suite
from tests.evals.test_harness import fill
from tts import Request
from tts.evals.store import RunStore
from tts.evals.suite import Suite
from tts.evals.tasks.base import Example
from tts.testing import FlakyBackend, ScriptedBackend

ALL = frozenset("123456")


class Outage:
    """A model that is down for some problems; knows which were asked about."""

    def __init__(self, model: ScriptedBackend) -> None:
        self.down, self.asked = ALL, frozenset[str]()
        self.suite: Suite = suite(FlakyBackend(model, self._fails))  # type: ignore[arg-type]  # another fake

    def _fails(self, request: Request) -> bool:
        asked = request.messages[-1].content.partition(" + ")[2].partition(" =")[0]
        self.asked |= {asked}
        return asked in self.down

    def tried(self, folder: Path, down: frozenset[str]) -> Counter[tuple[str, str]]:
        """Run the suite on what is there; count rows by problem and status."""
        self.down, self.asked = down, frozenset()
        rows = fill(folder, self.suite)
        return Counter((place[3], row.status) for place, row in rows.items())


def rows_of(**problems: str) -> Counter[tuple[str, str]]:
    """Three rows for each problem: two strategies and the baseline."""
    return Counter({(each, status): 3 for status, them in problems.items() for each in them})


def open_rows(folder: Path) -> int:
    with RunStore(folder / "run.sqlite") as store:
        assert store.count() == 18
        return store.count_open()


def test_failures_are_tried_again_and_kept_until_there_is_something_better(
    tmp_path: Path,
) -> None:
    outage = Outage(backend(lambda request: "Answer: 2"))
    assert outage.tried(tmp_path, ALL) == rows_of(failed="123456")
    assert open_rows(tmp_path) == 18
    assert outage.tried(tmp_path, frozenset("12")) == rows_of(failed="12", ok="3456")
    assert (outage.asked, open_rows(tmp_path)) == (ALL, 6)
    assert outage.tried(tmp_path, frozenset("1")) == rows_of(failed="1", ok="23456")
    assert (outage.asked, open_rows(tmp_path)) == (frozenset("12"), 3)
    assert outage.tried(tmp_path, frozenset()) == rows_of(ok="123456")
    assert (outage.asked, open_rows(tmp_path)) == (frozenset("1"), 0)
    assert outage.tried(tmp_path, ALL) == rows_of(ok="123456")
    assert outage.asked == frozenset()


def test_answers_that_were_only_not_judged_are_judged_again_and_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(backend(lambda request: "Answer: 13"))
    assert outage.tried(tmp_path, frozenset()) == rows_of(ok="123456")
    assert open_rows(tmp_path) == 18
    for kept in tmp_path.glob("calls.sqlite*"):  # not from these either
        kept.unlink()
    assert outage.tried(tmp_path, ALL) == rows_of(ok="123456")
    assert (outage.asked, open_rows(tmp_path)) == (frozenset(), 18)

    async def check(self: Same, answer: str | None, text: str, example: Example) -> bool:
        return False

    monkeypatch.setattr(Same, "check", check)
    assert outage.tried(tmp_path, ALL) == rows_of(ok="123456")
    assert (outage.asked, open_rows(tmp_path)) == (frozenset(), 0)
