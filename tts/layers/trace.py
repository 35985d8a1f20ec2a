"""What happened in a run, as a stream of flat records: one JSON object a line in a trace file.

run    started_at, seed, problem, strategy, models (each one's backend): written first
call   span, ticket, role, model, prompt_digest, start, end, outcome, tokens; how often it was sent,
       whether hedged, whether a cache answered; n, the completions of one request, if several;
       overshoot, tokens beyond what the budget had set aside; seconds, of a call that a bench
       answers with one that it made before: what that took; texts on request
probe  model, attempts, tokens: what it took to find out about an unknown server, before the run
span   path, start, end, critical_tokens: a piece of the run, written when it ends
stop   span, ticket, rule, reason, guarantee: a stopping rule ended a sample
end    status, answer, usage: written last; exhausted, the limit that ended the run; error, where
       the run raised one

Every record also holds `trace_id`. Times are seconds since the run began. A span's parent is its
path up to the last slash.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from tts.backends.base import Backend, Meter
from tts.errors import ConfigError, TTSError
from tts.layers.base import Layer
from tts.messages import Completion, Message, Request
from tts.output_files import prepare

__all__ = ["Record", "Trace", "Traced", "tee", "trace_file"]

Record: TypeAlias = dict[str, Any]
"""One event of a trace; its key `event` says which."""


class Trace:
    """Stamps records with the time and hands them to a sink.

    Args:
        sink: Called with each record; None throws them away.
        texts: Record prompts and completions in full; without it only the prompts' digests.

    Raises:
        ConfigError: If the sink cannot be called, as a path.

    Attributes:
        failure: Why the sink was given up (a full disk, say); a trace never costs an answer.
    """

    def __init__(
        self, sink: Callable[[Record], None] | None = None, *, texts: bool = False
    ) -> None:
        if sink is not None and not callable(sink):
            raise ConfigError(
                f"a trace takes a function of a record, not {sink!r}: to write a file, "
                "`with tts.layers.trace_file(Path(...)) as sink` and Trace(sink)"
            )
        self.id = uuid4().hex
        self.sink = sink
        self.texts = texts
        self.failure: OSError | None = None
        self._began = time.perf_counter()

    @property
    def now(self) -> float:
        """Seconds since the trace began."""
        return time.perf_counter() - self._began

    def write(self, event: str, **fields: Any) -> None:
        """Record an event."""
        if self.sink is not None:
            self.hand_over({"event": event, "trace_id": self.id, **fields})

    def hand_over(self, record: Record) -> None:
        """Give the sink a record that is complete."""
        if self.sink is not None:
            try:
                self.sink(record)
            except OSError as error:
                self.sink, self.failure = None, error

    def write_span(self, path: str, start: float, critical_tokens: int) -> None:
        """Record a piece of the run that ends now."""
        self.write("span", path=path, start=start, end=self.now, critical_tokens=critical_tokens)

    def write_probe(self, model: str, meter: Meter) -> None:
        """Record what it has cost to find out about a server; the first run pays for it."""
        self.write(
            "probe",
            model=model,
            attempts=meter.attempts,
            prompt_tokens=meter.prompt_tokens,
            completion_tokens=meter.completion_tokens,
        )

    def write_end(
        self,
        status: str,
        answer: str | None,
        usage: Record,
        *,
        exhausted: Record | None = None,
        error: str | None = None,
    ) -> None:
        """Record how the run ended.

        Args:
            status: The solution's, or `failed` where an error came out.
            answer: The answer that was found.
            usage: What was spent.
            exhausted: The limit that ended the run.
            error: Name of the error's class.
        """
        more = {"exhausted": exhausted, "error": error}
        given = {name: value for name, value in more.items() if value is not None}
        self.write("end", status=status, answer=answer, usage=usage, **given)

    def begin(self, **fields: Any) -> None:
        """Record the head of the trace."""
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write("run", started_at=started, **fields)


@contextmanager
def trace_file(path: Path) -> Iterator[Callable[[Record], None]]:
    """Open a sink that writes JSON lines; what was written survives a crash of the run.

    The file's folder is made.

    Raises:
        ConfigError: If the file cannot be written.
    """
    prepare(path)
    try:
        file = path.open("w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", path=str(path)) from error
    with file:
        yield lambda record: print(json.dumps(record, ensure_ascii=False), file=file)


def tee(*sinks: Callable[[Record], None]) -> Callable[[Record], None]:
    """Return a sink that hands each record to all of these, in this order."""
    if len(sinks) == 1:
        return sinks[0]

    def hand_on(record: Record) -> None:
        for sink in sinks:
            sink(record)

    return hand_on


class Traced(Layer):
    """Records each call that left for the model, however it ended.

    Args:
        inner: The model.
        trace: Where to.
        label: The pipeline's name for the model, where the model's own does not tell it apart.
    """

    def __init__(self, inner: Backend, trace: Trace, label: str | None = None) -> None:
        super().__init__(inner)
        self.trace, self.label = trace, label
        self._digested: tuple[object, str] = (None, "")

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Pass the request on and record it."""
        if self.trace.sink is None:
            return await self.inner.generate(request, meter)
        start, outcome, completion = self.trace.now, "cancelled", None
        try:
            completion = await self.inner.generate(request, meter)
            outcome = completion.finish_reason
            return completion
        except TTSError as error:
            outcome = type(error).__name__
            raise
        finally:
            if meter.started or meter.cached:
                self._record(request, meter, start, outcome, completion)

    def _record(
        self,
        request: Request,
        meter: Meter,
        start: float,
        outcome: str,
        completion: Completion | None,
    ) -> None:
        trace = self.trace
        record: Record = {
            "event": "call",
            "trace_id": trace.id,
            "span": request.span,
            "ticket": request.ticket,
            "role": request.role,
            "model": self.name,
            "prompt_digest": self._digest(request.messages),
            "seed": request.seed,
            "start": start,
            "end": trace.now,
            "outcome": outcome,
            "prompt_tokens": meter.prompt_tokens,
            "completion_tokens": meter.completion_tokens,
            "attempts": meter.attempts,
            "cached": meter.cached,
            "hedged": meter.hedged,
        }
        if self.label is not None:
            record["name"] = self.label
        if meter.estimated:
            record["estimated"] = True
        if meter.seconds:  # nobody has measured it yet: it was made before
            record["seconds"] = meter.seconds
        if request.n > 1:
            record["n"] = completion.count if completion else request.n
        if meter.reserved is not None and meter.total_tokens > meter.reserved:
            record["overshoot"] = meter.total_tokens - meter.reserved
        if trace.texts:
            record["prompt"] = [message.model_dump() for message in request.messages]
            record["text"] = _texts(request, completion)
        trace.hand_over(record)

    def _digest(self, messages: tuple[Message, ...]) -> str:
        """Return a digest of the prompt; samples of one prompt share it, so the last is kept."""
        if messages != self._digested[0]:
            text = "\x1e".join(f"{message.role}\x1f{message.content}" for message in messages)
            self._digested = (messages, blake2b(text.encode(), digest_size=8).hexdigest())
        return self._digested[1]


def _texts(request: Request, completion: Completion | None) -> str | list[str | None] | None:
    if completion is None or request.n == 1:
        return completion.text if completion else None
    return [draw.text if draw else None for draw in completion.draws or (completion,)]
