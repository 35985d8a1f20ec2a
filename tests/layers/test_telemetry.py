from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layers.test_trace import ONE, calls, nested, traced
from tests.play import answering, noise, play
from tts import ConfigError, Trace, solve
from tts.backends import Backend
from tts.cli import main
from tts.errors import BackendUnavailable
from tts.layers import Record, tee
from tts.layers.telemetry import Piece, pieces_of
from tts.testing import FlakyBackend, virtual_run


def told(backend: Backend, *, texts: bool = False) -> list[Piece]:
    return pieces_of(traced(backend, texts=True), texts=texts)


def chats(pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.name.startswith("chat ")]


def path_of(piece: Piece) -> str:
    return str(piece.attributes.get("tts.path", ""))


def test_the_root_is_the_workflow_with_the_usage_of_all() -> None:
    pieces = told(answering(["a"] * 16))
    root = pieces[0]
    assert (root.name, root.parent) == ("invoke_workflow self_consistency", None)
    assert root.attributes["gen_ai.operation.name"] == "invoke_workflow"
    for kind in ("input", "output"):
        key = f"gen_ai.usage.{kind}_tokens"
        values = [piece.attributes[key] for piece in chats(pieces)]
        assert root.attributes[key] == sum(value for value in values if isinstance(value, int))


def test_a_call_is_a_chat_with_model_seed_and_finish_reason() -> None:
    pieces = chats(told(answering(["a"] * 16)))
    first = pieces[0].attributes
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.provider.name"] == "given"
    assert first["gen_ai.request.model"] == "scripted"
    assert first["gen_ai.response.finish_reasons"] == ["stop"]
    assert isinstance(first["gen_ai.request.seed"], int)
    assert "error.type" not in first


@given(st.integers())
def test_the_tree_is_that_of_the_paths_and_children_lie_within_parents(salt: int) -> None:
    records = play(answering(["a"] * 3, latency=noise(salt)), nested).rig.records
    pieces = pieces_of(records)
    by_number = {piece.number: piece for piece in pieces}
    spans = {record["path"] for record in records if record["event"] == "span"}
    for piece in pieces[1:]:
        assert piece.parent is not None
        parent = by_number[piece.parent]
        assert parent.number < piece.number
        assert parent.start <= piece.start <= piece.end <= parent.end
        own = path_of(piece)
        above = own if own in spans and "ticket" in piece.attributes else own.rpartition("/")[0]
        assert own.startswith(path_of(parent)) or above == path_of(parent)


def test_every_record_of_a_span_call_or_tool_is_one_piece() -> None:
    records = play(answering(["a"] * 3), nested).rig.records
    kept = [each for each in records if each["event"] in {"span", "call", "tool"}]
    assert len(pieces_of(records)) == 1 + len(kept)


def test_names_are_few() -> None:
    names = {piece.name for piece in pieces_of(play(answering(["a"] * 3), nested).rig.records)}
    assert names == {"invoke_workflow run", "chat scripted", "map", "map item", "sample", "solve"}


def test_times_are_the_trace_s_from_the_moment_it_began() -> None:
    records = traced(answering(["a"] * 16))
    began = datetime.fromisoformat(records[0]["started_at"]).timestamp() * 1e9
    pieces = pieces_of(records)
    assert abs(pieces[0].start - began) < 2e6
    call = calls(records)[0]
    lasted = chats(pieces)[0].end - chats(pieces)[0].start
    assert abs(lasted - (call["end"] - call["start"]) * 1e9) < 1e3


def test_a_failed_call_carries_its_error() -> None:
    pieces = chats(told(FlakyBackend(answering(["a"] * 16), lambda request: request.ticket == 1)))
    failed = [piece for piece in pieces if piece.error]
    assert [piece.error for piece in failed] == ["BackendUnavailable"]
    assert failed[0].attributes["error.type"] == "BackendUnavailable"
    assert "gen_ai.response.finish_reasons" not in failed[0].attributes


def test_a_failed_run_carries_its_error() -> None:
    records: list[Record] = []
    backend = FlakyBackend(answering(["a"]), lambda request: True)
    with pytest.raises(BackendUnavailable):
        virtual_run(lambda: solve("What?", ONE, model=backend, trace=Trace(records.append)))
    root = pieces_of(records)[0]
    assert (root.error, root.attributes["tts.status"]) == ("BackendUnavailable", "failed")


def test_a_stop_is_told_on_its_sample() -> None:
    stopped = [each for each in told(answering(["a"] * 16)) if "tts.stop.rule" in each.attributes]
    assert [(each.name, each.attributes["tts.stop.rule"]) for each in stopped] == [
        ("sample", "dominance")
    ]


def test_texts_are_told_only_when_asked_for() -> None:
    hidden, shown = told(answering(["a"] * 16)), told(answering(["a"] * 16), texts=True)
    assert "What?" not in repr(hidden)
    assert "Answer: a" not in repr(hidden)
    first = chats(shown)[0].attributes
    asked = json.loads(str(first["gen_ai.input.messages"]))
    said = json.loads(str(first["gen_ai.output.messages"]))
    assert asked[0]["role"] == "user"
    assert "What?" in asked[0]["parts"][0]["content"]
    assert said == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Answer: a"}],
            "finish_reason": "stop",
        }
    ]


def test_a_tool_is_executed_and_a_plan_s_texts_stay_hidden() -> None:
    records = traced(answering(["a"] * 16))
    base = {"trace_id": records[0]["trace_id"], "span": "run/solve0"}
    ran = {"event": "tool", "tool": "double", "start": 0.0, "end": 0.0, "outcome": "timeout"}
    wrong = {"event": "plan_problem", "at": 0.0, "line": 1, "text": "a model's words"}
    pieces = pieces_of([*records, base | ran, base | wrong])
    executed = [each for each in pieces if each.name == "execute_tool double"]
    assert executed[0].attributes["gen_ai.tool.name"] == "double"
    assert executed[0].error == "timeout"
    assert "a model's words" not in repr(pieces)


def test_without_the_extra_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from tts.layers.otel import SpanSink

    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"pip install 'tts-orchestrator\[otel\]'"):
        SpanSink()
    pipeline = tmp_path / "one.yaml"
    pipeline.write_text("models: {main: reference}\nstrategy: self_consistency\n")
    with pytest.raises(SystemExit) as exit_:
        main(["run", str(pipeline), "--input", "What is 3 + 4?", "--otel"])
    assert exit_.value.code == 2
    assert "[otel]" in capsys.readouterr().err


def test_a_tee_hands_each_record_to_all() -> None:
    one: list[Record] = []
    other: list[Record] = []
    tee(one.append, other.append)({"event": "run"})
    assert one == other == [{"event": "run"}]


class Counted(dict[str, Any]):
    """A record that counts how often it is looked at."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        Counted.looks += 1
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        Counted.looks += 1
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        Counted.looks += 1
        return super().get(key, default)


def looks(samples: int) -> int:
    """How often the records of so many samples, with a note each, are looked at."""
    records: list[Record] = []
    for number in range(samples):
        path = f"run/sample{number}"
        note = {"event": "note", "span": path, "values": {"a": 1}}
        span = {"event": "span", "path": path, "start": 0.0, "end": 1.0, "critical_tokens": 1}
        records += [Counted(trace_id="t", **note), Counted(trace_id="t", **span)]
    Counted.looks = 0
    pieces = pieces_of(records)
    assert [piece.attributes.get("tts.note.a") for piece in pieces] == [None, *[1] * samples]
    return Counted.looks


def test_twice_the_spans_are_twice_the_work() -> None:
    first, second = looks(100), looks(200)
    assert second <= 2 * first
