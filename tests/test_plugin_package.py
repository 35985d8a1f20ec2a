"""A strategy package of somebody else's: installed, found by name, run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "plugin_package"
PIPELINE = """
models: {m: {backend: reference, sampling: {max_tokens: 64}}}
strategy: {use: agree_twice, most: 3}
"""
FACTS = "Facts:\nhats = 9\nQuestion: hats?"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the package, without a network."""
    source = tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(PACKAGE, source)
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *options, str(source)], check=True, capture_output=True)
    return target


def tts(site: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "tts", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_plugin_is_listed(site: Path) -> None:
    assert "agree_twice" in tts(site, "strategies")


def test_plugin_runs_from_a_pipeline_file(site: Path, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    report = json.loads(tts(site, "run", str(path), "--input", FACTS, "--json"))
    assert report["strategy"] == "agree_twice"
    assert 2 <= report["samples"] <= 3


def test_plugin_is_under_thirty_lines() -> None:
    assert (PACKAGE / "agree_twice" / "__init__.py").read_text().count("\n") < 30
