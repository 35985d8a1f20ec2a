"""Spans through the real SDK and its exporter in memory: `make otel-test`."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from tests.play import answering, noise
from tts import Trace, solve
from tts.backends import Backend
from tts.cli import main
from tts.layers.otel import SpanSink, open_spans
from tts.testing import FlakyBackend, virtual_run

Kept = tuple[TracerProvider, InMemorySpanExporter]


@pytest.fixture
def kept() -> Iterator[Kept]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def solved(backend: Backend, kept: Kept, *, texts: bool = False) -> list[ReadableSpan]:
    trace = Trace(SpanSink(kept[0], texts=texts), texts=texts)
    virtual_run(lambda: solve("What?", model=backend, trace=trace))
    return list(kept[1].get_finished_spans())


def numbers(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def test_a_run_is_one_trace_and_one_tree(kept: Kept) -> None:
    spans = solved(answering(["a"] * 16), kept)
    assert len({numbers(span)[0] for span in spans}) == 1
    known = {numbers(span)[1] for span in spans}
    roots = [span for span in spans if span.parent is None]
    assert [span.name for span in roots] == ["invoke_workflow self_consistency"]
    assert all(span.parent.span_id in known for span in spans if span.parent is not None)
    assert {span.kind for span in spans} == {SpanKind.INTERNAL}


def test_usage_and_times_arrive(kept: Kept) -> None:
    spans = solved(answering(["a"] * 16), kept)
    root = next(span for span in spans if span.parent is None)
    chats = [span for span in spans if span.name == "chat scripted"]
    for kind in ("input", "output"):
        key = f"gen_ai.usage.{kind}_tokens"
        total = sum(int(str((span.attributes or {})[key])) for span in chats)
        assert (root.attributes or {})[key] == total
    for span in spans:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


def test_an_error_is_the_span_s_status(kept: Kept) -> None:
    backend = FlakyBackend(answering(["a"] * 16), lambda request: request.ticket == 1)
    spans = solved(backend, kept)
    failed = [span for span in spans if span.status.status_code is StatusCode.ERROR]
    assert [(span.name, span.status.description) for span in failed] == [
        ("chat scripted", "BackendUnavailable")
    ]


def test_a_run_within_a_request_belongs_to_its_trace(kept: Kept) -> None:
    provider, exporter = kept
    with provider.get_tracer("web").start_as_current_span("GET /") as outer:
        solved(answering(["a"] * 16), kept)
    spans = exporter.get_finished_spans()
    root = next(span for span in spans if span.name.startswith("invoke_workflow"))
    assert root.parent is not None
    assert root.parent.span_id == outer.get_span_context().span_id


def test_what_is_sampled_out_is_not_made() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert solved(answering(["a"] * 16), (provider, exporter)) == []


def test_runs_at_once_do_not_mix(kept: Kept) -> None:
    import anyio

    sink = SpanSink(kept[0])

    async def one(seed: int) -> None:
        backend = answering(["a"] * 16, latency=noise(seed))
        await solve("What?", model=backend, trace=Trace(sink), seed=seed)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for seed in range(4):
                tasks.start_soon(one, seed)

    virtual_run(main)
    spans = kept[1].get_finished_spans()
    assert len({numbers(span)[0] for span in spans}) == 4
    assert sum(span.parent is None for span in spans) == 4
    assert sink._open == {}


def test_texts_only_when_asked_for(kept: Kept) -> None:
    assert "What?" not in repr([span.attributes for span in solved(answering(["a"] * 16), kept)])
    kept[1].clear()
    shown = solved(answering(["a"] * 16), kept, texts=True)
    assert any("gen_ai.input.messages" in (span.attributes or {}) for span in shown)


def test_the_command_uses_the_process_s_provider(kept: Kept, tmp_path: Path) -> None:
    otel.set_tracer_provider(kept[0])
    pipeline = tmp_path / "one.yaml"
    pipeline.write_text("models: {main: reference}\nstrategy: {use: best_of_n, samples: 2}\n")
    with pytest.raises(SystemExit):
        main(["run", str(pipeline), "--input", "What is 3 + 4?", "--otel"])
    names = [span.name for span in kept[1].get_finished_spans()]
    assert names.count("invoke_workflow best_of_n") == 1


class Held:
    """An exporter that keeps spans in memory, and nothing until it may."""

    def __init__(self, may: threading.Event) -> None:
        self.may, self.kept = may, InMemorySpanExporter()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.may.wait(30)
        return self.kept.export(spans)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return bool(self.kept.force_flush(timeout_millis))

    def shutdown(self) -> None:
        self.kept.shutdown()


def sent(samples: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many spans of a run of so many samples arrive, if none is sent before it ends."""
    may = threading.Event()
    exporter = Held(may)
    monkeypatch.setattr(otel, "get_tracer_provider", otel.ProxyTracerProvider)
    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", lambda: exporter)
    with open_spans() as sink:
        for number in range(samples):
            path, times = f"run/sample{number}", {"start": 0.0, "end": 1.0}
            sink({"event": "span", "trace_id": "t", "path": path, "critical_tokens": 1, **times})
        sink({"event": "end", "trace_id": "t"})
        may.set()
    return len(exporter.kept.get_finished_spans())


def test_no_span_of_a_large_run_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_BSP_MAX_QUEUE_SIZE", raising=False)
    assert sent(5000, monkeypatch) == 5001


def test_how_many_spans_wait_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600")
    assert 600 <= sent(5000, monkeypatch) <= 600 + 512  # and a batch that is on its way


class Collector(ThreadingHTTPServer):
    """Receives OTLP over HTTP on a free port, and decodes what it gets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.got: list[tuple[str, ExportTraceServiceRequest]] = []


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name that the library looks for
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        self.server.got.append((f"{self.path} {self.headers['Content-Type']}", request))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_command_sends_spans_that_a_collector_decodes(tmp_path: Path, compression: str) -> None:
    pipeline = tmp_path / "one.yaml"
    pipeline.write_text("models: {main: reference}\nstrategy: {use: best_of_n, samples: 2}\n")
    command = ["run", str(pipeline), "--input", "What is 3 + 4?", "--otel", "--json"]
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, args=(0.02,), daemon=True).start()
        variables = {
            "OTEL_SERVICE_NAME": "my-solver",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
        }
        run = subprocess.run(
            [sys.executable, "-m", "tts", *command],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        collector.shutdown()
    assert {place for place, _ in collector.got} == {"/v1/traces application/x-protobuf"}
    resources = [each for _, request in collector.got for each in request.resource_spans]
    services = {
        pair.value.string_value
        for each in resources
        for pair in each.resource.attributes
        if pair.key == "service.name"
    }
    assert services == {"my-solver"}
    spans = [span for each in resources for scope in each.scope_spans for span in scope.spans]
    assert len({span.trace_id for span in spans}) == 1
    (root,) = (span for span in spans if not span.parent_span_id)
    assert root.name == "invoke_workflow best_of_n"
    chats = [span for span in spans if span.name == "chat reference"]
    sent = [_integer(span, "gen_ai.usage.output_tokens") for span in chats]
    told = json.loads(run.stdout)["usage"]
    assert (len(chats), sum(sent)) == (told["calls"], told["completion_tokens"])


def _integer(span: Span, key: str) -> int:
    return next(int(pair.value.int_value) for pair in span.attributes if pair.key == key)


def test_the_how_to_runs() -> None:
    page = Path(__file__).parents[2] / "docs/how-to/send-spans-to-opentelemetry.md"
    (block,) = re.findall(r"^```py\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert '"name": "invoke_workflow self_consistency"' in run.stdout
