from __future__ import annotations

import os
from pathlib import Path

import pytest

from tts.errors import ConfigError
from tts.output_files import prepare, write


def test_folders_are_made_and_no_file(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "b" / "file", None)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_texts_and_bytes_are_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for content in ("größer\n", b"bytes"):
        write(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_what_cannot_hold_a_file_is_one_line(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    for path in (tmp_path, taken / "more", taken / "more" / "still"):
        with pytest.raises(ConfigError, match=f"^{path}: cannot write: "):
            prepare(path)


def test_a_place_one_may_not_write_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(ConfigError, match="Permission denied"):
        prepare(tmp_path / "file")


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        write(Path("/dev/full"), "text")
