from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.evals.report.samples import NASTY, cells, row
from tts.evals.report import Contents, Entry, Run, contents, load
from tts.evals.report.details import compact, detail, size
from tts.evals.report.measures import COSTS
from tts.evals.store import RunStore
from tts.evals.tries import Earlier, Spent

Loaded = tuple[list[Run], list[Entry]]


def test_problems_are_in_natural_order_and_results_point_at_them(found: Contents) -> None:
    problems, results = found.summary["problems"], found.summary["results"]
    assert [each["id"] for each in problems[:12]] == [f"p{n}" for n in range(12)]
    assert {each["task"] for each in problems[:12]} == {"graphs-4"}
    assert len(results) == 8 * 12
    for each in results:
        entry, problem = found.summary["entries"][each["entry"]], problems[each["problem"]]
        assert entry["task"] == problem["task"]


def test_details_stay_within_their_bound_and_are_shared_out(loaded: Loaded) -> None:
    whole = contents(*loaded, replay_rules=False)
    assert len(whole.details) == len(whole.summary["results"])
    bound = sum(map(size, whole.details.values())) // 4
    less = contents(*loaded, text_bytes=bound, replay_rules=False)
    assert sum(map(size, less.details.values())) <= bound
    assert less.summary["left_out"]["details"] == len(whole.details) - len(less.details)
    kept = {less.summary["results"][number]["entry"] for number in less.details}
    assert kept == set(range(8))  # each entry has some
    assert less.summary["entries"] == whole.summary["entries"]
    assert contents(*loaded, text_bytes=0, replay_rules=False).details == {}


def test_the_front_lets_fewer_samples_of_the_baseline_compete(found: Contents) -> None:
    entries = found.summary["entries"]
    path = next(each["path"] for each in found.summary["fronts"]
                if (each["task"], each["cost"]) == ("graphs-4", "total"))  # fmt: skip
    baseline = entries[0]
    rivals = {(p["total"], p["accuracy"][0]) for p in baseline["curve"]}
    own = {(e["costs"]["total"][0], e["accuracy"][0]) for e in entries if e["task"] == "graphs-4"}
    assert set(path) <= rivals | own
    on_front = {e["label"] for e in entries[:4] if "total" in e["front"]}
    assert on_front == {e["label"] for e in entries[:4]
                        if (e["costs"]["total"][0], e["accuracy"][0]) in path}  # fmt: skip


def test_equal_prompts_are_kept_once_and_long_texts_are_cut() -> None:
    cell = cells()[0]
    made = row(cell, 3, 0.5)
    long = made.draws[0].model_copy(update={"text": "x" * 50_000})
    told = detail(made.model_copy(update={"draws": (long, *made.draws[1:])}))
    calls = [each for each in told["trace"] if each["event"] == "call"]
    assert len(calls) == 16
    assert "prompt" not in calls[0]
    assert told["prompts"] == {"d1": [{"role": "user", "content": f"Solve this. {NASTY}"}]}
    assert told["draws"][0]["text"].endswith("[30,000 more characters left out]")


def test_a_trace_without_texts_is_told_too() -> None:
    made = row(cells()[0], 3, 0.5)
    bare: list[dict[str, Any]] = [
        {name: value for name, value in each.items() if name not in {"prompt", "text"}}
        for each in made.trace
    ]
    told = detail(made.model_copy(update={"trace": tuple(bare)}))
    assert told["prompts"] == {}
    assert told["trace"][1]["text"] is None


def test_a_row_in_short_has_its_costs() -> None:
    told = compact(row(cells()[0], 3, 0.5))
    assert set(told["costs"]) == {"total", "critical", "seconds", "usd"}
    assert told["samples"] == 16


def test_earlier_tries_are_part_of_the_cost_and_told_in_full() -> None:
    once = row(cells()[0], 3, 0.5)
    lost = Spent(calls=2, prompt_tokens=30, completion_tokens=4, cost_usd=0.5)
    again = once.model_copy(update={"earlier": Earlier(tries=3, paid=lost, lost=lost)})
    assert detail(once)["earlier"] is None
    assert detail(again)["earlier"] == {
        "tries": 3, "killed": 0, "calls": 2, "tokens": 34, "usd": 0.5,
    }  # fmt: skip
    assert detail(again)["usage"] == detail(once)["usage"]
    costs = compact(again)["costs"]
    assert costs["total"] == once.usage.total_tokens + 34
    assert costs["critical"] == once.usage.critical_tokens


def test_what_costs_nothing_is_on_no_front_of_money(loaded: Loaded) -> None:
    runs, entries = loaded
    free = [
        replace(entry, results=tuple(
            replace(each, row=each.row.model_copy(
                update={"usage": each.row.usage.model_copy(update={"cost_usd": 0.0})}
            )) for each in entry.results
        ))
        for entry in entries if not entry.summary.is_baseline
    ]  # fmt: skip
    told = contents(runs, free, text_bytes=0, replay_rules=False).summary
    assert not any("usd" in each["front"] for each in told["entries"])
    assert any("total" in each["front"] for each in told["entries"])


def test_what_solves_nothing_is_on_no_front(tmp_path: Path) -> None:
    """A wrong answer is the cheapest one: neither a strategy nor fewer votes win by that."""
    base, cheap, dear = cells(["g"])[:3]
    wrong: dict[str, Any] = {
        "answer": "0",
        "right": False,
        "status": "ok",
        "error": None,
        "check_failure": None,
    }
    with RunStore(tmp_path / "run.sqlite") as store:
        store.plan([base, cheap, dear])
        for number in range(6):
            for cell in (base, cheap, dear):
                made = row(cell, number, 0.0)
                draws = tuple(each.model_copy(update={"right": False}) for each in made.draws)
                usage = made.usage.model_copy(update={"total_tokens": 10**6})
                right: dict[str, Any] = {
                    "answer": made.right_answer, "right": True, "usage": usage,
                }  # fmt: skip
                told = {**wrong, "draws": draws, **(right if cell is dear else {})}
                store.add(made.model_copy(update=told))
    told = contents(*load([tmp_path]), text_bytes=0, replay_rules=False).summary
    (path,) = [each["path"] for each in told["fronts"] if each["cost"] == "total"]
    assert path == [(10.0**6, 1.0)]
    assert [each["front"] for each in told["entries"]] == [[], [], [*COSTS]]


def test_the_title_is_the_runs_name(found: Contents, store: Path) -> None:
    assert found.summary["title"] == store.parent.name


def test_a_page_tells_nothing_of_the_machine_it_was_made_on(found: Contents) -> None:
    assert [set(each) for each in found.summary["runs"]] == [{"name", "version", "began"}]


def test_questions_may_be_left_out_and_the_same_run_has_paid_once(loaded: Loaded) -> None:
    runs, entries = loaded
    about = {**runs[0].about, "paid": Spent(calls=3, prompt_tokens=4).model_dump()}
    knows = replace(runs[0], about=about)
    told = contents([knows, knows], entries, questions=False, replay_rules=False).summary
    assert {(each["text"], each["answer"]) for each in told["problems"]} == {("", "")}
    assert [each["paid"]["tokens"] for each in told["runs"]] == [4, 0]


def test_what_runs_have_paid_is_told_where_they_know_it(loaded: Loaded) -> None:
    runs, entries = loaded
    paid = Spent(calls=3, prompt_tokens=4, completion_tokens=5, cost_usd=None)
    knows = replace(runs[0], about={**runs[0].about, "paid": paid.model_dump()})
    (told,) = contents([knows], entries, replay_rules=False).summary["runs"]
    assert told["paid"] == {"tokens": 9, "usd": None}
