"""What a killed bench loses: `tts bench` is killed at random calls, resumed, and compared.

    python -m tts.evals.bench.kill_and_resume [--json] [--quick] [--kills N] [--seed N]

A loopback server counts what it is asked and kills the bench (SIGKILL) at a random request, before
or after the answer. Then it is resumed, and killed again. Told: calls that were asked more than
once (`repeated`: under way when it was killed), finished calls among them (`finished_repeated`:
must be 0), and whether figures and costs equal those of a run that was left alone.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tts.evals.bench.counting_server import CountingServer, bench, counting_server

CONCURRENCY = 8


def figures_of(out: str) -> list[dict[str, Any]]:
    """Return the rows but for their seconds."""
    return [
        {
            name: value
            for name, value in row.items()
            if name not in {"wall_seconds", "timed", "critical_seconds"}
        }
        for row in json.loads(out)
    ]


def kept_in(folder: Path) -> int:
    """Return the number of kept calls."""
    path = folder / "calls.sqlite"
    if not path.exists():
        return 0
    connection = sqlite3.connect(path)
    (count,) = connection.execute("SELECT count(*) FROM answers").fetchone()
    connection.close()
    return int(count)


def measure(
    server: CountingServer, folder: Path, kills: int, problems: int, rng: random.Random
) -> dict[str, Any]:
    """Run undisturbed, then killed and resumed; return the figures."""

    def run(name: str, *options: str) -> tuple[int, str]:
        sizes = {"problems": problems, "concurrency": CONCURRENCY}
        code, out, _ = bench(server, folder / name, *options, **sizes)
        return code, out

    _, out = run("whole")
    whole, needed = figures_of(out), len(server.asked)
    server.asked.clear()
    done, finished_repeated, lost = 0, 0, []
    for _ in range(kills):
        before, kept = len(server.asked), kept_in(folder / "killed")
        server.fatal = before + rng.randint(1, max(1, (needed - kept) // 3))
        server.is_late = rng.random() < 0.5
        code, _ = run("killed", "--resume")
        done += code < 0
        gained = kept_in(folder / "killed") - kept
        lost.append(len(server.asked) - before - gained)
    kept, before, server.fatal = kept_in(folder / "killed"), len(server.asked), 0
    code, out = run("killed", "--resume")
    finished_repeated = len(server.asked) - before - (needed - kept)
    return {
        "calls": needed,
        "kills": done,
        "asked": len(server.asked),
        "repeated": sum(count - 1 for count in Counter(server.asked).values()),
        "most_lost_at_a_kill": max(lost, default=0),
        "finished_repeated": finished_repeated,
        "kept_at_the_end": kept_in(folder / "killed"),
        "same_figures": figures_of(out) == whole,
        "exit_code": code,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="3 kills, 20 problems")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kills, problems = (3, 20) if options.quick else (options.kills, 100)
    with counting_server() as server, TemporaryDirectory() as folder:
        found = measure(server, Path(folder), kills, problems, random.Random(options.seed))
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
