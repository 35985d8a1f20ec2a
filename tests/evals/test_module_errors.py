"""Commands that run as `python -m`: what they say of files and settings that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tts.errors import BackendUnavailable
from tts.evals import takeovers, thresholds
from tts.evals.module_errors import told_in_one_line

Main = Callable[[Sequence[str] | None], None]
PIPELINES: dict[Main, str] = {
    thresholds.main: "strategy: {use: selective_allocation, calibrate: true, candidates: 1}\n",
    takeovers.main: "strategy: {use: draft_target, mode: conditional}\n",
}
MODELS = "models: {draft: {backend: reference}, target: {backend: reference}}\n"
ONE = "models: {m: {backend: reference}}\n"
GOOD = '{"input": "q", "answer": "1"}\n'
WRONG: list[tuple[str | None, str | bytes | None, str]] = [
    (None, GOOD, "p.yaml: cannot read"),
    ("strategy: [", GOOD, "p.yaml:1"),
    ("models: 3\n", GOOD, "p.yaml:1"),
    ("", None, "d.jsonl: cannot read"),
    ("", "", "d.jsonl: no problem in the file"),
    ("", b"\xff\xfe\x00", "d.jsonl: "),
    ("", "plain\n", "d.jsonl: plain text"),
    ("", GOOD + '{"input": \n', "d.jsonl:2: not JSON"),
    ("", "[" * 10**5, "d.jsonl: plain text"),
    ("", GOOD.replace('"1"', "1" * 5000), "d.jsonl:1: a number has more digits"),
]


def refused(
    main: Main, folder: Path, pipeline: str | None, data: str | bytes | None, more: list[str]
) -> None:
    """Run a command on these files; whatever is empty of the pipeline is filled in."""
    whole = (ONE if main is thresholds.main else MODELS) + PIPELINES[main]
    if pipeline is not None:
        (folder / "p.yaml").write_text(pipeline or whole)
    if data is not None:
        (folder / "d.jsonl").write_bytes(data if isinstance(data, bytes) else data.encode())
    out = ["--out", str(folder / "s.json")] if main is takeovers.main else []
    words = [str(folder / "p.yaml"), "--data", str(folder / "d.jsonl"), *out, *more]
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2


@pytest.mark.parametrize("main", [thresholds.main, takeovers.main])
@pytest.mark.parametrize(("pipeline", "data", "words"), WRONG)
def test_a_wrong_file_is_one_line(
    main: Main,
    pipeline: str | None,
    data: str | bytes | None,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(main, tmp_path, pipeline, data, [])
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith(f"python -m {main.__module__}: ")
    assert words in told.err


@pytest.mark.parametrize(
    ("main", "data", "more", "words"),
    [
        (thresholds.main, GOOD, ["--taus", "0", "2"], "taus: 2 is not in 0..1"),
        (thresholds.main, GOOD, ["--taus", "-0.1"], "taus: -0.1 is not in 0..1"),
        (thresholds.main, GOOD, ["--taus", "nan"], "taus: nan is not in 0..1"),
        (thresholds.main, '{"input": "q"}\n', [], "d.jsonl:1: the line has no `answer`"),
        (takeovers.main, GOOD, ["--concurrency", "0"], "concurrency: 0 is less than 1"),
        (takeovers.main, GOOD, ["--out", "/proc/none/s.json"], "cannot write"),
    ],
)
def test_a_wrong_setting_is_one_line(
    main: Main,
    data: str,
    more: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(main, tmp_path, "", data, more)
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert words in told.err


def test_another_error_ends_with_one_and_an_interrupt_with_130(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for error, code in ((BackendUnavailable("the server\nis down"), 1), (KeyboardInterrupt(), 130)):
        with pytest.raises(SystemExit) as exit_, told_in_one_line("it"):
            raise error
        assert exit_.value.code == code
    assert capsys.readouterr().err == "it: the server is down\nit: interrupted\n"
