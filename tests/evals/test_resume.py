"""A bench that is killed, at random points, and resumed: no finished call is lost or repeated."""

from __future__ import annotations

import json
import random
import re
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tts.evals.bench.counting_server import CountingServer, bench, counting_server

IN_FLIGHT = 4


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with counting_server() as server:
        yield server


def kept_calls(folder: Path) -> int:
    if not (folder / "calls.sqlite").exists():
        return 0
    connection = sqlite3.connect(folder / "calls.sqlite")
    (count,) = connection.execute("SELECT count(*) FROM answers").fetchone()
    connection.close()
    return int(count)


def figures(out: str) -> Any:
    """What was measured, but the seconds."""
    rows = json.loads(out)
    for row in rows:
        del row["wall_seconds"], row["timed"], row["critical_seconds"]
    return rows


@pytest.mark.long
def test_a_bench_that_is_killed_again_and_again_ends_as_if_it_never_had_been(
    server: CountingServer, tmp_path: Path
) -> None:
    code, out, err = bench(server, tmp_path / "whole", concurrency=IN_FLIGHT)
    assert code == 0, err
    whole, needed = figures(out), len(server.asked)
    assert needed == len(set(server.asked)) == kept_calls(tmp_path / "whole")

    folder, rng, kept = tmp_path / "killed", random.Random(7), 0
    server.asked.clear()
    for attempt in range(3):
        before = len(server.asked)
        server.fatal = before + rng.randint(1, needed // 3 - 1)
        server.is_late = bool(attempt % 2)
        code, _, err = bench(server, folder, "--resume", concurrency=IN_FLIGHT)
        assert code == -signal.SIGKILL, err
        made, gained = len(server.asked) - before, kept_calls(folder) - kept
        assert made - IN_FLIGHT <= gained <= made  # lost: what was under way, and no more
        kept += gained

    before, server.fatal = len(server.asked), 0
    code, out, err = bench(server, folder, "--resume", concurrency=IN_FLIGHT)
    assert code == 0, err
    assert len(server.asked) - before == needed - kept  # no finished call was made again
    assert kept_calls(folder) == needed
    assert figures(out) == whole  # costs too: as if every call had been paid for


@pytest.mark.long
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    server: CountingServer, tmp_path: Path
) -> None:
    server.weapon, server.fatal = signal.SIGINT, 40
    code, out, err = bench(server, tmp_path / "out")
    assert code == 130, err
    assert json.loads(out)
    found = re.search(r"interrupted; (\d+) of 32 are kept, go on with: tts bench .*--resume", err)
    assert found is not None, err
    assert 0 < int(found[1]) < 32
    assert "Traceback" not in err
    server.fatal = 0
    code, out, _ = bench(server, tmp_path / "out", "--resume")
    assert code == 0
    assert all(row["n"] == 8 for row in json.loads(out))
