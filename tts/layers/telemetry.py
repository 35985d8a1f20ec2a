"""A trace as OpenTelemetry spans, with the conventions for generative AI.

run    `invoke_workflow STRATEGY`, the root; token usage of the whole run
span   an internal span of the path's last word (`sample`, `map`, `solve`, ...)
call   `chat MODEL`, with model, seed, finish reasons and token usage
tool   `execute_tool TOOL`
else   `stop` and `note` become attributes of their span, other records with a time its events

Source: OpenTelemetry semantic conventions for GenAI (open-telemetry/semantic-conventions-genai
v0.1.0, status "development"): inference, execute-tool and internal-agent spans. What they have no
name for stands under `tts.`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final, TypeAlias

from tts.layers.trace import Record

__all__ = ["Moment", "Piece", "pieces_of"]

Attribute: TypeAlias = str | int | float | bool | Sequence[str]

_PROVIDERS: Final = {"gemini": "gcp.gemini"}
"""Where the conventions' name of a provider is not ours."""
_IN_PROCESS: Final = frozenset({"reference", "transformers", "replay", "given"})
_GOOD: Final = frozenset({"stop", "length", "ok"})
_TAKEN: Final = frozenset({"event", "trace_id", "span", "at"})


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span."""

    name: str
    at: int
    """Nanoseconds since 1970."""
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Piece:
    """A span as it is to be told, parents before children."""

    number: int
    parent: int | None
    """Number of the piece it belongs to; None for the root."""
    name: str
    is_call: bool
    """True if it leaves the process: span kind `CLIENT`, else `INTERNAL`."""
    start: int
    """Nanoseconds since 1970."""
    end: int
    attributes: Mapping[str, Attribute]
    moments: tuple[Moment, ...] = ()
    error: str | None = None
    """Name of the error's class, or what else went wrong; None where all went well."""


def pieces_of(records: Sequence[Record], *, texts: bool = False) -> list[Piece]:
    """Translate a whole trace.

    Args:
        records: Those of one run, from `run` to `end`.
        texts: Tell prompts and completions too, where the trace holds them.

    Returns:
        The root first, and each parent before its children.
    """
    return list(_Translation(list(records), texts).pieces())


@dataclass
class _Translation:
    records: list[Record]
    texts: bool
    numbers: Iterator[int] = field(default_factory=count)

    def pieces(self) -> Iterator[Piece]:
        """Yield the root, the pieces of the run from the outside in, then calls and tools."""
        self.head = self._first("run")
        self.epoch = self._epoch()
        root = self._root()
        yield root
        self.placed = {"": root.number}
        self.within = self._within()
        spans = [record for record in self.records if record["event"] == "span"]
        for record in sorted(spans, key=lambda record: record["path"].count("/")):
            piece = self._span(record)
            self.placed[record["path"]] = piece.number
            yield piece
        for record in self.records:
            if record["event"] == "call":
                yield self._call(record)
            elif record["event"] == "tool":
                yield self._tool(record)

    def _within(self) -> Mapping[str, Sequence[Record]]:
        """Return the records of each path in one pass: a run of many samples has many of both."""
        within = defaultdict[str, list[Record]](list)
        for record in self.records:
            if "span" in record:
                within[record["span"]].append(record)
        return within

    def _first(self, event: str) -> Record:
        return next((each for each in self.records if each["event"] == event), {})

    def _epoch(self) -> int:
        """Return the trace's zero: the head is written when the first piece begins."""
        starts = [each["start"] for each in self.records if "start" in each]
        began = datetime.fromisoformat(self.head["started_at"]).timestamp() if self.head else 0.0
        return int((began - min(starts, default=0.0)) * 1e9)

    def _when(self, seconds: float) -> int:
        return self.epoch + int(seconds * 1e9)

    def _parent(self, path: str) -> int:
        while path not in self.placed:
            path = path.rpartition("/")[0]
        return self.placed[path]

    def _root(self) -> Piece:
        end = self._first("end")
        usage, strategy = end.get("usage") or {}, self.head.get("strategy") or {}
        name = str(strategy.get("use", "run"))
        times = [
            each[key] for each in self.records for key in ("start", "end", "at") if key in each
        ]
        told: dict[str, Attribute | None] = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.agent.name": name,
            "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
            "tts.trace_id": next((each["trace_id"] for each in self.records), ""),
            "tts.seed": self.head.get("seed"),
            "tts.problem": None if self.head.get("problem") is None else str(self.head["problem"]),
            "tts.status": end.get("status"),
            "tts.exhausted": (end.get("exhausted") or {}).get("kind"),
            "error.type": end.get("error"),
            **{f"tts.usage.{key}": value for key, value in usage.items()},
        }
        if self.texts:
            told["tts.answer"] = end.get("answer")
        start = self._when(min(times, default=0.0))
        return Piece(
            number=next(self.numbers),
            parent=None,
            name=f"invoke_workflow {name}",
            is_call=False,
            start=start,
            end=max(start, self._when(max(times, default=0.0))),
            attributes=_given(told),
            error=end.get("error"),
        )

    def _span(self, record: Record) -> Piece:
        path = record["path"]
        told: dict[str, Attribute | None] = {
            "tts.path": path,
            "tts.critical_tokens": record["critical_tokens"],
        }
        moments = []
        for each in self.within.get(path, ()):
            if each["event"] == "stop":
                told |= {f"tts.stop.{key}": each[key] for key in ("rule", "reason", "guarantee")}
            elif each["event"] == "note":
                told |= {f"tts.note.{key}": value for key, value in each["values"].items()}
            elif "at" in each and each["event"] != "graph":
                moments.append(self._moment(each))
        return Piece(
            number=next(self.numbers),
            parent=self._parent(path.rpartition("/")[0]),
            name=_word(path),
            is_call=False,
            start=self._when(record["start"]),
            end=self._when(record["end"]),
            attributes=_given(told),
            moments=tuple(moments),
        )

    def _moment(self, record: Record) -> Moment:
        """Translate an event of a plan; its texts are a model's words."""
        hidden = _TAKEN if self.texts else _TAKEN | {"text", "why"}
        told = {key: value for key, value in record.items() if key not in hidden}
        plain = {key: value for key, value in told.items() if isinstance(value, str | int | float)}
        named = {f"tts.{key}": value for key, value in plain.items()}
        return Moment(f"tts.{record['event']}", self._when(record["at"]), named)

    def _call(self, record: Record) -> Piece:
        provider = (self.head.get("models") or {}).get(record["model"], "")
        outcome, is_good = record["outcome"], record["outcome"] in _GOOD
        told: dict[str, Attribute | None] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider) or "_OTHER",
            "gen_ai.request.model": record["model"],
            "gen_ai.request.seed": record["seed"],
            "gen_ai.request.choice.count": record.get("n"),
            "gen_ai.response.finish_reasons": [outcome] * record.get("n", 1) if is_good else None,
            "gen_ai.usage.input_tokens": record["prompt_tokens"],
            "gen_ai.usage.output_tokens": record["completion_tokens"],
            "error.type": None if is_good else outcome,
            "tts.role": record["role"],
            "tts.path": record["span"],
            "tts.prompt_digest": record["prompt_digest"],
            **{f"tts.{key}": record[key] for key in _CARRIAGE if key in record},
        }
        if self.texts and "prompt" in record:
            told |= _messages(record)
        return Piece(
            number=next(self.numbers),
            parent=self._parent(record["span"]),
            name=f"chat {record['model']}",
            is_call=provider not in _IN_PROCESS,
            start=self._when(record["start"]),
            end=self._when(record["end"]),
            attributes=_given(told),
            error=None if is_good else outcome,
        )

    def _tool(self, record: Record) -> Piece:
        error = None if record["outcome"] in _GOOD else record["outcome"]
        told: dict[str, Attribute | None] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": record["tool"],
            "gen_ai.tool.type": "function",
            "error.type": error,
            "tts.path": record["span"],
        }
        return Piece(
            number=next(self.numbers),
            parent=self._parent(record["span"]),
            name=f"execute_tool {record['tool']}",
            is_call=False,
            start=self._when(record["start"]),
            end=self._when(record["end"]),
            attributes=_given(told),
            error=error,
        )


_CARRIAGE: Final = ("ticket", "attempts", "cached", "hedged", "estimated", "overshoot")


def _given(told: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    return {key: value for key, value in told.items() if value is not None}


def _word(path: str) -> str:
    """Return a span's name: of few different values, so that they can be grouped.

    >>> _word("run/solve0/map1"), _word("run/solve0/map1/17")
    ('map', 'map item')
    """
    above, _, last = path.rpartition("/")
    word = last.rstrip("0123456789")
    return word or f"{_word(above)} item"


def _messages(record: Record) -> dict[str, Attribute]:
    """Return prompt and completions in the conventions' form, as JSON."""
    asked = [{"role": each["role"], "parts": [_part(each["content"])]} for each in record["prompt"]]
    given: Any = record.get("text")
    texts = given if isinstance(given, list) else [given]
    said = [
        {"role": "assistant", "parts": [_part(text)], "finish_reason": record["outcome"]}
        for text in texts
        if text is not None
    ]
    return {
        "gen_ai.input.messages": json.dumps(asked, ensure_ascii=False),
        "gen_ai.output.messages": json.dumps(said, ensure_ascii=False),
    }


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
