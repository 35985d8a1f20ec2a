from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.conftest import Outcome, Tts
from tts.cli.bench_remarks import remarks
from tts.cli.bench_table import print_summaries
from tts.errors import ConfigError
from tts.evals.checkers import CheckFailed
from tts.evals.checkers.numeric import Numeric
from tts.evals.executor import Local
from tts.evals.holding import held
from tts.evals.store import RunStore
from tts.evals.summary import Summary, summarise
from tts.evals.tasks import Example

SUITE = """
tasks: [{use: graphs, level: 1, problems: 3}]
models: {small: {backend: reference, sampling: {max_tokens: 60}}}
strategies:
  vote: {use: self_consistency, samples: 4, stop: never}
  single: {use: self_consistency, samples: 1}
baseline: {samples: 6}
"""
KEYS = {
    "task", "model", "strategy", "budget", "is_baseline", "seeds", "problems", "n", "accuracy",
    "ci95", "accuracy_at_worst", "oracle", "calls", "prompt_tokens", "completion_tokens",
    "total_tokens", "critical_tokens", "critical_completion_tokens", "cost_usd", "wall_seconds",
    "errors", "failures", "budget_exhausted", "stopped_by", "repeated", "pass_at_k", "maj_at_k",
    "equal", "unequal", "timed", "critical_seconds", "same_as", "saving",
    "why_failed",
}  # fmt: skip


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    return path


def rows(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {row["strategy"]: row for row in json.loads(outcome.out)}


def test_json_is_a_row_a_strategy_with_the_promised_keys(tts: Tts, suite: Path) -> None:
    both = ("--equal", "total", "--equal", "critical")
    outcome = tts("bench", suite, "--json", "--limit", "2", *both)
    found = rows(outcome)
    assert outcome.code == 0
    assert list(found) == ["baseline", "vote", "single"]
    assert all(set(row) == KEYS for row in found.values())
    assert found["vote"]["n"] == 2
    assert set(found["vote"]["equal"]) == {"total", "critical"}
    assert found["vote"]["equal"]["total"]["samples"] == pytest.approx(4, abs=0.6)
    assert outcome.err.count(" solved, ") >= 3  # plain lines of progress


def test_without_equal_there_is_no_baseline(tts: Tts, suite: Path) -> None:
    found = rows(tts("bench", suite, "--json", "--limit", "1"))
    assert list(found) == ["vote", "single"]
    assert found["vote"]["equal"] == {}


def test_plain_output_has_the_figures_and_what_they_do_not_say(tts: Tts, suite: Path) -> None:
    outcome = tts("bench", suite, "--equal", "critical", "--out", "here")
    for words in (
        "graphs 1 facts on small", "accuracy [95%]", "against plain votes at equal critical tokens",
        "too few: with fewer than 6 problems no difference can have p < 0.05", "kept in here",
        "p (Holm)",
        "2 comparisons: if nothing differed, about 0.1 would have p < 0.05 by chance, and in 5% of "
        "such benches any would have p (Holm) < 0.05. Both are less where few problems differ, and",
        "nothing is told apart from plain votes here: no p (Holm) is below 0.05.",
        "too few: with fewer than 6 problems no difference can have p < 0.05",
        "gain: accuracy less theirs", "plain votes: self-consistency of",
        "its gain is the luck of the order",
        "as it was first measured, for whichever strategy made it; share: false measures everyone",
    ):  # fmt: skip
        assert words in outcome.out
    assert "at worst" not in outcome.out


def test_equal_dollars_that_nobody_pays_are_told(tts: Tts, suite: Path) -> None:
    outcome = tts("bench", suite, "--equal", "usd", "--limit", "1")
    assert outcome.code == 0
    assert (
        "no comparison at equal dollars for vote, single: the baseline costs nothing; give each "
        "model its price: {input: ..., output: ...}, or compare at equal total tokens"
    ) in outcome.out


def test_results_are_in_the_folder_before_they_are_shown(tts: Tts, suite: Path) -> None:
    tts("bench", suite, "--limit", "2")
    with RunStore(Path("runs/suite/run.sqlite"), read_only=True) as store:
        about = store.about()
        assert store.count() == 4
    assert about["suite_path"] == str(suite)
    assert set(about["problems"].values()) == {2}
    assert about["suite"]["baseline"] == {"samples": 6}


def test_a_folder_with_results_is_not_written_to_without_resume(tts: Tts, suite: Path) -> None:
    tts("bench", suite, "--limit", "1")
    outcome = tts("bench", suite, "--limit", "2")
    assert outcome.code == 2
    assert outcome.err == (
        "tts: runs/suite holds 2 results: go on with --resume, or give another --out\n"
    )
    resumed = tts("bench", suite, "--limit", "2", "--resume", "--json")
    assert rows(resumed)["vote"]["n"] == 2
    assert "changed since" not in resumed.err
    assert "before it was resumed" in resumed.err


def test_a_finished_folder_is_read_again_while_the_server_is_off(
    tts: Tts, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tts("bench", suite, "--limit", "1", "--json")

    async def refused(*_: object) -> list[str]:
        raise ConfigError("cannot connect (Connection refused): is the server running?")

    monkeypatch.setattr(Local, "run", refused)
    again = tts("bench", suite, "--limit", "1", "--json", "--resume")
    assert (again.code, again.out, again.err) == (0, first.out, "")
    assert "accuracy [95%]" in tts("bench", suite, "--limit", "1", "--resume").out
    more = tts("bench", suite, "--limit", "2", "--resume")
    assert more.code == 2
    assert "is the server running?" in more.err


def test_a_folder_that_another_bench_writes_is_left_to_it(tts: Tts, suite: Path) -> None:
    folder = Path("there")
    folder.mkdir()
    with held(folder):
        outcome = tts("bench", suite, "--out", folder, "--resume")
    assert outcome.code == 2
    assert f"there: another bench writes here (process {os.getpid()} on " in outcome.err
    assert not (folder / "run.sqlite").exists()
    assert tts("bench", suite, "--out", folder, "--limit", "1").code == 0


def test_what_is_left_undone_is_no_success_and_the_hint_has_every_option(
    tts: Tts, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[str]:
        return ["2 problems are left: workers died too often"]

    monkeypatch.setattr(Local, "run", nothing)
    words = ("--equal", "total", "--equal", "usd", "--allow-code-execution", "--json")
    outcome = tts("bench", suite, "--out", "out 6", "--limit", "2", *words[:-1])
    assert "?" not in outcome.out  # nothing has run, so no price is unknown
    outcome = tts("bench", suite, "--out", "out 6", "--limit", "2", *words, "--resume")
    assert outcome.code == 1
    assert "tts: 2 problems are left" in outcome.err
    assert (
        f"0 of 6 are kept, go on with: tts bench {suite} --out 'out 6' --limit 2 --json "
        "--equal total --equal usd --allow-code-execution --resume\n"
    ) in outcome.err


def test_answers_that_were_not_judged_are_told_with_what_to_do(
    tts: Tts, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(self: Numeric, answer: str | None, text: str, example: Example) -> bool:
        raise CheckFailed("no verdict today")

    monkeypatch.setattr(Numeric, "check", check)
    Path("odd.jsonl").write_text(
        '{"question": "Facts:\\nhats = 1\\nQuestion: hats?", "answer": "1"}\n'
    )
    task = "{use: jsonl, path: odd.jsonl, check: numeric}"
    suite.write_text(SUITE.replace("{use: graphs, level: 1, problems: 3}", task))
    outcome = tts("bench", suite)
    assert outcome.code == 0
    assert "2 of 2 are kept, 2 of them not judged, go on with: tts bench " in outcome.err
    (head,) = {line for line in outcome.out.splitlines() if line.startswith("strategy")}
    assert "accuracy [95%]    at worst" in head
    assert "at worst: accuracy if all that failed or could not be judged were wrong." in outcome.out
    assert "tried again" not in outcome.out
    again = tts("bench", suite, "--resume")
    assert "tts: judged again: 2 runs that had no verdict" in again.err
    assert "tried again" not in again.out  # no call was made


def test_what_has_changed_since_the_last_run_is_told(tts: Tts, suite: Path) -> None:
    tts("bench", suite, "--limit", "1")
    suite.write_text(SUITE.replace("samples: 4", "samples: 3").replace("single:", "one:"))
    told = tts("bench", suite, "--limit", "1", "--resume").err
    for line in (
        "strategy.samples was 4, is 3 (of vote; solved anew)",
        "strategy 'one' is new",
        "strategy 'single' is left out",
    ):
        assert f"tts: changed since the last run: {line}\n" in told


def test_a_wrong_field_of_a_task_is_told_once_and_leaves_no_folder(tts: Tts, suite: Path) -> None:
    Path("mine.jsonl").write_text(9 * '{"question": "q", "right": "1"}\n')
    task = "{use: jsonl, path: mine.jsonl}"
    suite.write_text(SUITE.replace("{use: graphs, level: 1, problems: 3}", task))
    outcome = tts("bench", suite)
    assert outcome.err == (
        "tts: mine.jsonl:1: the field 'answer' is missing or null; there are question, right "
        "(lines 1, 2, 3, 4, 5 and 4 more)\n"
    )
    assert not Path("runs").exists()


def test_a_mistake_in_the_suite_is_told_where_it_stands(tts: Tts, suite: Path) -> None:
    suite.write_text(SUITE.replace("samples: 4", "samples: four"))
    outcome = tts("bench", suite)
    assert outcome.code == 2
    assert "suite.yaml:5:33: strategies.vote.samples" in outcome.err
    assert not Path("runs").exists()


def test_what_is_refused_leaves_nothing_in_the_way(tts: Tts, suite: Path) -> None:
    suite.write_text(
        SUITE.replace("{use: graphs, level: 1, problems: 3}", "{use: jsonl, path: no}")
    )
    assert tts("bench", suite).code == 2
    suite.write_text(SUITE)
    assert tts("bench", suite, "--limit", "1", "--json").code == 0


def test_checkers_that_run_code_need_leave_before_anything_is_spent(tts: Tts, suite: Path) -> None:
    Path("code.jsonl").write_text('{"question": "write f", "answer": "assert f() == 1"}\n')
    task = "{use: jsonl, path: code.jsonl, check: code}"
    suite.write_text(SUITE.replace("{use: graphs, level: 1, problems: 3}", task))
    outcome = tts("bench", suite)
    assert outcome.code == 2
    assert "--allow-code-execution" in outcome.err
    assert "suite.yaml:2:" in outcome.err
    allowed = tts("bench", suite, "--allow-code-execution", "--json")
    assert allowed.code == 0


def test_the_schema_of_suites_is_printed(tts: Tts) -> None:
    schema = json.loads(tts("schema", "suite").out)
    assert set(schema["required"]) == {"tasks", "models", "strategies"}


def test_a_folder_that_cannot_be_made_is_one_line(tts: Tts, suite: Path) -> None:
    Path("file").write_text("")
    outcome = tts("bench", suite, "--out", "file/inside")
    assert outcome.code == 2
    assert "cannot make the folder" in outcome.err


def test_problems_that_have_changed_since_the_last_run_are_told(tts: Tts, suite: Path) -> None:
    lines = [f'{{"id": "{at}", "question": "{at}?", "answer": "{at}"}}' for at in range(3)]
    Path("own.jsonl").write_text("\n".join(lines))
    task = "{use: jsonl, path: own.jsonl}"
    suite.write_text(SUITE.replace("{use: graphs, level: 1, problems: 3}", task))
    tts("bench", suite)
    assert "changed since" not in tts("bench", suite, "--resume").err
    lines[1:] = ['{"id": "1", "question": "1?", "answer": "2"}', lines[0].replace("0", "9")]
    Path("own.jsonl").write_text("\n".join(lines))
    assert (
        "1 changed (solved anew), 1 added, 1 removed (left out of the figures)\n"
        in tts("bench", suite, "--resume").err
    )


def test_calls_that_failed_and_runs_that_a_budget_ended_are_told(tts: Tts, suite: Path) -> None:
    suite.write_text(SUITE + "budgets: {none: {}, one: {calls: 1}}\n")
    outcome = tts("bench", suite, "--limit", "2")
    assert "budget one ended 2 of 4 runs." in outcome.out
    assert "budget none" not in outcome.out
    assert "failed for good" not in outcome.out
    with RunStore(Path("runs/suite/run.sqlite"), read_only=True) as store:
        found = [replace(each, failed_calls=3) for each in summarise(store)]
    (told,) = [line for line in remarks(found) if "failed for good" in line]
    assert told.startswith("calls that failed for good: vote 3, vote [one] 3, single 3, ")
    assert "--resume does not ask for them again" in told


def test_remarks_tell_fewer_pairs_and_problems_of_every_comparison(tts: Tts, suite: Path) -> None:
    tts("bench", suite, "--equal", "total")
    with RunStore(Path("runs/suite/run.sqlite"), read_only=True) as store:
        found = summarise(store)
    assert not any("on fewer runs" in line or "failed" in line for line in remarks(found))
    (one,) = found[1].equal
    less = replace(one, pairs=8, problems=8, left_out=1, failed=1, detectable=0.9)
    (two,) = found[2].equal
    found[1] = replace(found[1], failed=1, equal=(less,))
    found[2] = replace(found[2], equal=(replace(two, problems=9, detectable=0.8),))
    lines = remarks(found)
    told = "compared on fewer runs than there are: 8 of 9 of vote. The others have no pool of the "
    assert any(line.startswith(told) for line in lines)
    both = replace(found[1], equal=(less, replace(less, kind="critical", left_out=0)))
    told = "compared on fewer runs than there are: 8 of 9 of vote (at equal total tokens). The "
    assert any(line.startswith(told) for line in remarks([both]))
    assert any(line.startswith("runs that failed: up to 1 in a comparison") for line in lines)
    assert any("8 to 9 problems show true gains of 80 to 90 points" in line for line in lines)
    none = remarks([replace(found[1], equal=(), unequal={"total": "the baseline costs nothing"})])
    assert "no comparison at equal total tokens for vote: the baseline costs nothing" in none


def printed(summaries: Sequence[Summary], width: int, *, terminal: bool) -> list[str]:
    console = Console(file=StringIO(), force_terminal=terminal, width=width, color_system=None)
    print_summaries(summaries, console)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def heads(lines: Sequence[str]) -> set[str]:
    rows = (re.split(r" {2,}", line) for line in lines if line.startswith("strategy "))
    return {head for row in rows for head in row}


@pytest.mark.parametrize("width", [72, 80, 100])
def test_a_narrow_terminal_gets_fewer_columns_and_is_told(
    tts: Tts, suite: Path, width: int
) -> None:
    tts("bench", suite, "--equal", "total")
    with RunStore(Path("runs/suite/run.sqlite"), read_only=True) as store:
        found = summarise(store)
    lines, whole = (printed(found, columns, terminal=True) for columns in (width, 400))
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert not any("left out at this width" in line for line in whole)
    text = " ".join(lines)
    told = re.findall(r"\(left out at this width: ([^;]*); \d+ columns, a pipe or tts", text)
    gone = heads(whole) - heads(lines) - {"failed", "unjudged", "unread"}  # these may be empty
    assert gone == {column for names in told for column in names.split(", ")} - {"unread"}
    assert printed(found, width, terminal=False) == printed(found, 400, terminal=False)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--equal", "foo", "'--equal': 'foo' is not one of 'total', 'critical', 'usd'"),
        ("--limit", "x", "'--limit': give a whole number"),
    ],
)
def test_options_that_cannot_be_read_are_told_in_our_words(
    tts: Tts, suite: Path, option: str, value: str, message: str
) -> None:
    code, _, told = tts("bench", suite, option, value)
    assert code == 2
    assert message in told
    assert "error" not in told
    assert "Input" not in told


def test_the_help_names_the_exit_codes(tts: Tts) -> None:
    lines = [line.split(maxsplit=1) for line in tts("bench", "--help").out.splitlines()]
    codes = {line[0]: line[1] for line in lines if len(line) == 2 and line[0].isdigit()}
    assert list(codes) == ["0", "1", "2", "130"]
    assert codes["2"].startswith("the input is wrong; nothing was spent, but for a look")
