from __future__ import annotations

from pathlib import Path

from tests.evals.sums import row
from tts.cli.bench_remarks import remarks
from tts.evals.records import Cell, Row
from tts.evals.store import RunStore
from tts.evals.summary import summarise

BASE = Cell(task="t", model="m", strategy="baseline", is_baseline=True)
MINE = Cell(task="t", model="m", strategy="mine")
WRONG = (("2", False), ("3", False))


def told(folder: Path, *rows: Row) -> str:
    with RunStore(folder / "run.sqlite") as store:
        store.plan([BASE, MINE])
        for each in rows:
            store.add(each)
        return "\n".join(remarks(summarise(store, ("total",))))


def test_what_the_tests_tell_apart_comes_first(tmp_path: Path) -> None:
    names = [str(number) for number in range(12)]
    pools = [row(BASE.key, each, False, draws=WRONG, tokens=20) for each in names]
    mine = [row(MINE.key, each, tokens=20) for each in names]
    first = told(tmp_path, *pools, *mine).strip().splitlines()[0]
    assert first == (
        "told apart from plain votes (p (Holm) < 0.05), t on m: "
        "mine is better at equal total tokens."
    )


def test_pairs_without_a_verdict_are_told(tmp_path: Path) -> None:
    pool = row(BASE.key, "a", False, draws=WRONG, tokens=20)
    text = told(tmp_path, pool, row(MINE.key, "a", None, check_failure="x", tokens=20))
    assert "pairs with an answer that could not be judged: up to 1 in a comparison" in text
    assert "nothing is told apart from plain votes here" in text
