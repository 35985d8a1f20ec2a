"""Ctrl-C, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tts
from tts.evals.store import RunStore

SUITE = """
tasks: [{use: graphs, level: 1, problems: 2}]
models: {small: {backend: reference, sampling: {max_tokens: 20}}}
strategies: {once: {use: self_consistency, samples: 1}}
"""
STUCK = """
import os, signal
import anyio
from tts.cli import main
from tts.evals.executor import Local

solve = Local.run

async def stuck(self, suite, jobs, calls, on_row):
    await solve(self, suite, jobs[:1], calls, on_row)
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):  # a stop that would last for ever
            os.kill(os.getpid(), signal.SIGINT)
            await anyio.sleep_forever()

Local.run = stuck
main(["bench", "suite.yaml", "--out", "out"])
"""


@pytest.mark.long
def test_a_second_ctrl_c_ends_a_stop_that_hangs_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    ended = subprocess.run(
        [sys.executable, "-c", STUCK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 130, ended.stderr
    said = [line for line in ended.stderr.splitlines() if " solved, " not in line]
    assert said == ["tts: interrupted twice; what was finished is kept, go on with --resume"]
    with RunStore(tmp_path / "out" / "run.sqlite", read_only=True) as store:
        assert store.count() == 1


def test_an_interrupt_outside_of_the_work_is_one_line(
    tts: Tts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tts.cli.bench.Suite.load", interrupted)
    outcome = tts("bench", tmp_path / "suite.yaml")
    told = "tts: interrupted; what was finished is kept, go on with --resume\n"
    assert (outcome.code, outcome.err) == (130, told)
