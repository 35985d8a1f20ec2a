from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.play import Inline, answering, drawn, noise, play, rig
from tts import ConfigError, solve
from tts.backends import Backend, Meter
from tts.errors import BackendUnavailable
from tts.layers import Record, Trace, Traced, trace_file
from tts.messages import Message, Request
from tts.run import Run
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run

ONE = {"use": "self_consistency", "samples": 1}


def traced(
    backend: Backend, *, texts: bool = False, strategy: str = "self_consistency"
) -> list[Record]:
    """Solve a problem and return what was recorded."""
    records: list[Record] = []
    trace = Trace(records.append, texts=texts)
    virtual_run(lambda: solve("What?", strategy, model=backend, trace=trace))
    return records


def calls(records: list[Record]) -> list[Record]:
    return [record for record in records if record["event"] == "call"]


async def nested(run: Run) -> None:
    await run.generate("Q")
    await run.map(lambda _: drawn(run, 2), range(2))
    await run.solve(Inline(work=lambda child: drawn(child, 1)))


def test_a_trace_begins_with_the_run_and_ends_with_its_end() -> None:
    records = traced(answering(["a"] * 16))
    assert [records[0]["event"], records[-1]["event"]] == ["run", "end"]
    assert (records[0]["seed"], records[0]["strategy"]["use"]) == (0, "self_consistency")
    assert (records[-1]["answer"], records[-1]["status"]) == ("a", "ok")


def crash(request: Request) -> str:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("backend", "error"),
    [
        (FlakyBackend(answering(["a"]), lambda request: True), "BackendUnavailable"),
        (ScriptedBackend(crash), "KeyError"),
    ],
)
def test_a_run_that_raises_ends_its_trace_as_failed(backend: Backend, error: str) -> None:
    records: list[Record] = []
    with pytest.raises((BackendUnavailable, KeyError)):
        virtual_run(lambda: solve("What?", ONE, model=backend, trace=Trace(records.append)))
    end = records[-1]
    assert (end["event"], end["status"], end["error"]) == ("end", "failed", error)
    assert (end["answer"], end["usage"]["calls"]) == (None, 1)


def test_a_cancelled_run_ends_its_trace_as_failed() -> None:
    records: list[Record] = []

    async def main() -> None:
        with anyio.move_on_after(0.5):
            await solve("What?", ONE, model=answering(["a"]), trace=Trace(records.append))

    virtual_run(main)
    assert (records[-1]["status"], records[-1]["error"]) == ("failed", "CancelledError")
    assert records[-1]["usage"]["cancelled_calls"] == 1


def test_a_run_that_is_refused_ends_its_trace_as_failed() -> None:
    records: list[Record] = []
    with pytest.raises(ConfigError, match="does not hold one call, which may take"):
        virtual_run(
            lambda: solve(
                "What?",
                ONE,
                model=answering(["a"]),
                budget={"total_tokens": 1},
                trace=Trace(records.append),
            )
        )
    assert [record["event"] for record in records].count("end") == 1
    assert records[-1]["error"] == "ConfigError"


def test_every_record_is_json_and_carries_the_trace_id() -> None:
    records = traced(answering(["a"] * 16), texts=True)
    assert json.loads(json.dumps(records)) == records
    assert len({record["trace_id"] for record in records}) == 1


@given(st.integers())
def test_every_call_is_recorded_once_with_its_tokens(salt: int) -> None:
    backend = answering(["a"] * 16, latency=noise(salt))
    records = traced(backend)
    usage = records[-1]["usage"]
    assert len(calls(records)) == usage["calls"] == len(backend.requests)
    for kind in ("prompt_tokens", "completion_tokens"):
        assert sum(record[kind] for record in calls(records)) == usage[kind]


def test_a_call_records_where_it_stands() -> None:
    backend = answering(["a"] * 3)
    records = play(backend, nested).rig.records
    keys = ("span", "ticket", "seed", "role")
    asked = {(r.span, r.ticket, r.seed, r.role) for r in backend.requests}
    assert {tuple(record[key] for key in keys) for record in calls(records)} == asked


def test_every_call_stands_in_a_recorded_span() -> None:
    records = play(answering(["a"] * 3), nested).rig.records
    spans = {record["path"] for record in records if record["event"] == "span"}
    for record in calls(records):
        assert record["span"] in spans or record["span"].rpartition("/")[0] in spans


def test_spans_nest_in_time() -> None:
    records = play(answering(["a"] * 3), nested).rig.records
    spans = {record["path"]: record for record in records if record["event"] == "span"}
    for path, span in spans.items():
        assert span["start"] <= span["end"]
        outer = spans.get(path.rpartition("/")[0], span)
        assert outer["start"] <= span["start"]
        assert span["end"] <= outer["end"]


def test_a_stop_is_recorded_with_its_guarantee() -> None:
    stops = [r for r in traced(answering(["a"] * 16)) if r["event"] == "stop"]
    assert [stop["rule"] for stop in stops] == ["dominance"]
    assert "16 samples" in stops[0]["guarantee"]


def test_a_failed_call_is_recorded_with_its_error() -> None:
    backend = FlakyBackend(answering(["a"] * 16), lambda request: request.ticket == 1)
    outcomes = [record["outcome"] for record in calls(traced(backend))]
    assert outcomes.count("BackendUnavailable") == 1
    assert outcomes.count("stop") == len(outcomes) - 1


def test_a_cancelled_call_is_recorded_as_cancelled() -> None:
    async def work(run: Run) -> None:
        async with run.sample("Q", 2) as samples:
            await anext(samples)

    backend = answering(["a", "b"], latency=lambda request: 1.0 + request.ticket)
    outcomes = [record["outcome"] for record in calls(play(backend, work).rig.records)]
    assert outcomes == ["stop", "cancelled"]


def test_a_call_that_never_left_is_not_recorded() -> None:
    async def main() -> list[Record]:
        made = rig(answering(["a"] * 3), concurrency=1)
        with anyio.move_on_after(0.5):
            await drawn(made.run, 3)
        return made.records

    assert [record["ticket"] for record in calls(virtual_run(main))] == [0]


def test_texts_are_recorded_on_request_only() -> None:
    with_texts = calls(traced(answering(["a"] * 16), texts=True))
    without = calls(traced(answering(["a"] * 16)))
    assert with_texts[0]["text"] == "Answer: a"
    assert "What?" in with_texts[0]["prompt"][0]["content"]
    assert "What?" not in json.dumps(without)


MESSAGES = st.lists(
    st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=st.text(max_size=5)),
    min_size=1,
    max_size=3,
).map(tuple)


@given(MESSAGES, MESSAGES)
def test_digests_tell_prompts_apart(one: tuple[Message, ...], other: tuple[Message, ...]) -> None:
    layer = Traced(ScriptedBackend([]), Trace())
    digests = [layer._digest(one), layer._digest(other), layer._digest(one)]
    assert digests[0] == digests[2]
    assert (digests[0] == digests[1]) == (one == other)


def test_a_trace_file_holds_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with trace_file(path) as sink:
        Trace(sink).write("stop", reason="größer\n")
        assert json.loads(path.read_text(encoding="utf-8"))["reason"] == "größer\n"
        Trace(sink).write("end")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_a_trace_file_that_cannot_be_written_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"), trace_file(Path(__file__) / "file"):
        raise AssertionError


def test_a_full_disk_costs_the_trace_and_not_the_answer() -> None:
    def full(record: Record) -> None:
        raise OSError(28, "No space left on device")

    trace = Trace(full)
    solution = virtual_run(
        lambda: solve("What?", "self_consistency", model=answering(["a"] * 16), trace=trace)
    )
    assert solution.answer == "a"
    assert trace.failure is not None
    assert trace.sink is None


def test_without_a_sink_nothing_is_built() -> None:
    backend = Traced(answering(["a"]), Trace())
    request = Request(messages=(Message(role="user", content="Q"),))

    async def main() -> str:
        return (await backend.generate(request, Meter())).text

    assert virtual_run(main) == "Answer: a"


def test_a_path_is_no_sink() -> None:
    with pytest.raises(ConfigError, match=r"not 't\.jsonl': to write a file, `with"):
        Trace("t.jsonl")  # type: ignore[arg-type]  # the mistake that is tested
