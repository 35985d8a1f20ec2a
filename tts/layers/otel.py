"""Hands traces to OpenTelemetry, which carries them to Jaeger, Grafana, Langfuse and others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tts.errors import ConfigError
from tts.layers.telemetry import Piece, pieces_of
from tts.layers.trace import Record

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["SpanSink", "open_spans"]

_NAME = "tts"
_WAITING = 1 << 20
"""Most spans that wait to be sent: those of a run are all made at once, when it ends."""
_MISSING = "OpenTelemetry is not installed: pip install 'tts-orchestrator[otel]'"


class SpanSink:
    """A sink for `Trace` that makes OpenTelemetry spans of a run when it has ended.

    The run's root span becomes a child of the span that was current when the run began. Spans of a
    run that was killed are lost; a trace file keeps its records.

    Args:
        provider: Whose tracer makes the spans; None takes the process's own.
        texts: Put prompts, completions and answers into the spans; the trace must hold them too
            (`Trace(..., texts=True)`).

    Raises:
        ConfigError: If OpenTelemetry is not installed.
    """

    def __init__(self, provider: TracerProvider | None = None, *, texts: bool = False) -> None:
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise ConfigError(_MISSING) from error
        self.texts = texts
        self._tracer: Tracer = trace.get_tracer(_NAME, tracer_provider=provider)
        self._open: dict[str, tuple[Context, list[Record]]] = {}

    def __call__(self, record: Record) -> None:
        """Keep a record; at the last one of a run, make its spans."""
        if record["trace_id"] not in self._open:
            from opentelemetry.context import get_current

            self._open[record["trace_id"]] = (get_current(), [])
        above, records = self._open[record["trace_id"]]
        records.append(record)
        if record["event"] == "end":
            del self._open[record["trace_id"]]
            self._tell(pieces_of(records, texts=self.texts), above)

    def _tell(self, pieces: list[Piece], above: Context) -> None:
        from opentelemetry.trace import set_span_in_context

        contexts: dict[int | None, Context] = {None: above}
        for piece in pieces:
            span = self._span(piece, contexts[piece.parent])
            contexts[piece.number] = set_span_in_context(span, above)
            span.end(piece.end)

    def _span(self, piece: Piece, above: Context) -> Any:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        span = self._tracer.start_span(
            piece.name,
            context=above,
            kind=SpanKind.CLIENT if piece.is_call else SpanKind.INTERNAL,
            attributes=dict(piece.attributes),
            start_time=piece.start,
        )
        for moment in piece.moments:
            span.add_event(moment.name, dict(moment.attributes), moment.at)
        if piece.error is not None:
            span.set_status(Status(StatusCode.ERROR, piece.error))
        return span


@contextmanager
def open_spans(*, texts: bool = False) -> Iterator[Callable[[Record], None]]:
    """Open a sink for a command: spans leave over OTLP, as the `OTEL_...` variables say.

    A provider that the process has set already (`opentelemetry-instrument`) is used as it is. On
    the way out what was not sent yet is sent, with the exporter's own time limits and at most 30
    seconds in all.

    Raises:
        ConfigError: If the extra is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield SpanSink(texts=texts)
        return
    provider = TracerProvider()
    # The library's own variable, which it reads where nothing is given, comes first.
    waiting = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else _WAITING
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=waiting))
    try:
        yield SpanSink(provider, texts=texts)
    finally:
        provider.shutdown()
