"""`tts models show`, `tts cache stats|clear`, and what a run says about its layers."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import FACTS, Tts
from tts import Budget
from tts.backends import Cache, Provider
from tts.backends.openai import OpenAI
from tts.layers.store import open_store

LAYERS = ["budget", "trace", "cache", "hedge", "retry", "limit", "backend"]


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    path = tmp_path / "cached.yaml"
    path.write_text(
        "models: {solver: {backend: reference, sampling: {max_tokens: 64},\n"
        f"                 cache: {{path: {tmp_path / 'calls.sqlite'}}}}}}}\n"
        "strategy: {use: self_consistency, samples: 4}\n"
    )
    return path


def test_models_show_names_every_layer_in_order(tts: Tts, cached: Path) -> None:
    shown = json.loads(tts("models", "show", cached, "--json").out)["solver"]
    assert [layer["layer"] for layer in shown] == LAYERS
    settings = {layer["layer"]: layer["settings"] for layer in shown}
    assert settings["hedge"] is None
    assert settings["cache"]["max_days"] == 30.0
    none = {"rpm": None, "tpm": None, "burst": 0.1}
    assert settings["limit"] == none | {"concurrency": 64, "shared": None}
    assert settings["backend"]["backend"] == "reference"


def test_models_show_leaves_no_setting_of_a_layer_out(tts: Tts, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(
        "models: {solver: {backend: reference, hedge: {}, cache: {}, concurrency: 9,\n"
        "                  limits: {rpm: 5, tpm: 70, concurrency: auto, burst: 0.5}}}\n"
        "strategy: self_consistency\n"
        "concurrency: 7\n"
    )
    shown = json.loads(tts("models", "show", path, "--json").out)["solver"]
    settings = {layer["layer"]: layer["settings"] for layer in shown}
    limit = {"rpm": 5, "tpm": 70, "burst": 0.5, "concurrency": "auto", "most": 9, "shared": 7}
    assert settings["limit"] == limit
    assert set(settings["budget"]) == set(Budget.model_fields)
    for name in ("cache", "hedge", "retry"):
        field = Provider.model_fields[name].annotation
        assert set(settings[name]) == set(_fields(field))


def _fields(annotation: object) -> list[str]:
    models = [getattr(one, "model_fields", None) for one in getattr(annotation, "__args__", ())]
    return list(next(filter(None, [getattr(annotation, "model_fields", None), *models])))


def test_models_show_is_readable(tts: Tts, cached: Path) -> None:
    lines = tts("models", "show", cached).out.splitlines()
    assert lines[0] == "solver"
    apart = ["sampling", "price", "can"]
    assert [line.split()[0] for line in lines[1:]] == [*LAYERS, *apart]
    assert "  hedge     off" in lines
    assert "  price     input: 0.0  output: 0.0" in "\n".join(lines)
    assert lines[-1].endswith("context: 1024")


REMOTE = """
models:
  known: {backend: openai, model: gpt-4.1-mini, timeouts: {first_byte: 60}}
  hidden: {backend: openai, base_url: "http://localhost:1/v1", concurrency: 8}
  priced: {backend: anthropic, model: m, price: {input: 1, output: 2}, retry: {attempts: 1}}
strategy: self_consistency
"""


def test_models_show_tells_all_that_is_known_of_remote_models(tts: Tts, tmp_path: Path) -> None:
    path = tmp_path / "remote.yaml"
    path.write_text(REMOTE)
    shown = json.loads(tts("models", "show", path, "--json").out)
    backend = {name: layers[-1]["settings"] for name, layers in shown.items()}
    assert backend["known"]["price"] == {"input": 0.4, "output": 1.6, "cached_input": 0.1}
    assert backend["known"]["timeouts"]["first_byte"] == 60.0
    assert backend["known"]["capabilities"]["n"]
    assert (backend["hidden"]["price"], backend["hidden"]["capabilities"]) == (None, None)
    assert backend["priced"]["price"]["output"] == 2.0
    fields = set(OpenAI.model_fields) - {"cache", "concurrency", "hedge", "limits", "retry"}
    assert set(backend["known"]) == {"backend", *fields}
    text = tts("models", "show", path).out
    assert "price     unknown" in text
    assert "can       found out when it is opened" in text
    assert "can       logprobs  top_logprobs: 20  n  stream  json_schema" in text
    assert "timeouts  connect: 10.0  first_byte: 60.0" in text


def test_a_cached_run_is_replayed_and_says_so(tts: Tts, cached: Path, tmp_path: Path) -> None:
    first = json.loads(tts("run", cached, "--input", FACTS, "--json").out)
    again = json.loads(tts("run", cached, "--input", FACTS, "--json").out)
    assert (again["text"], again["answer"]) == (first["text"], first["answer"])
    assert again["usage"]["cached_calls"] == first["usage"]["calls"]
    trace = tmp_path / "trace.jsonl"
    assert "from the cache" in tts("run", cached, "--input", FACTS, "--trace", trace).out
    assert "stop  cached" in tts("trace", "show", trace).out


def test_cache_stats_and_clear(tts: Tts, cached: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    usage = json.loads(tts("run", cached, "--input", FACTS, "--json").out)["usage"]
    stats = json.loads(tts("cache", "stats", "--path", path, "--json").out)
    assert (stats["entries"], stats["misses"]) == (usage["calls"], usage["calls"])
    assert stats["oldest"]
    assert f"entries   {usage['calls']}" in tts("cache", "stats", "--path", path).out
    assert tts("cache", "clear", "--path", path).out == f"removed {usage['calls']} answers\n"
    stats = json.loads(tts("cache", "stats", "--path", path, "--json").out)
    assert (stats["entries"], stats["oldest"]) == (0, None)


@pytest.mark.parametrize("command", ["stats", "clear"])
def test_a_cache_that_is_not_there_is_not_made(tts: Tts, tmp_path: Path, command: str) -> None:
    path = tmp_path / "none.sqlite"
    outcome = tts("cache", command, "--path", path)
    assert (outcome.code, outcome.out, path.exists()) == (2, "", False)
    assert "no cache there" in outcome.err


def test_a_cache_that_cannot_be_opened_is_refused_with_its_place(
    tts: Tts, cached: Path, tmp_path: Path
) -> None:
    (tmp_path / "calls.sqlite").write_text("my notes")
    outcome = tts("run", cached, "--input", FACTS)
    assert outcome.code == 2
    assert f"{cached}:1" in outcome.err
    assert "name another file" in outcome.err


def test_a_cache_that_fails_is_told_and_costs_no_answer(
    tts: Tts, cached: Path, tmp_path: Path
) -> None:
    path = tmp_path / "calls.sqlite"
    with open_store(Cache(path=path)):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE answers")
    connection.close()
    outcome = tts("run", cached, "--input", FACTS, "--json")
    assert outcome.code == 0
    assert "tts: the cache is incomplete: no such table" in outcome.err
    assert json.loads(outcome.out)["usage"]["cached_calls"] == 0


def test_hedging_a_model_that_does_not_stream_is_refused(tts: Tts, tmp_path: Path) -> None:
    path = tmp_path / "hedged.yaml"
    path.write_text("models:\n  solver: {backend: reference, hedge: {}}\nstrategy: best_of_n\n")
    outcome = tts("run", path, "--input", FACTS)
    assert outcome.code == 2
    assert f"{path}:2" in outcome.err
    assert "does not stream" in outcome.err
