"""What was said and called in a solved problem, cut to a size that a page can carry."""

from __future__ import annotations

import json
from typing import Any, Final

from tts.evals.records import Row
from tts.evals.report.measures import known_costs

__all__ = ["compact", "detail", "size"]

_LONGEST: Final = 20_000
"""Characters of one text; what is cut off is counted in it."""
_KEPT: Final = frozenset({
    "span", "ticket", "role", "model", "name", "start", "end", "outcome", "prompt_tokens",
    "completion_tokens", "attempts", "cached", "hedged", "n", "prompt_digest", "overshoot",
    "seconds",
})  # fmt: skip


def compact(row: Row) -> dict[str, Any]:
    """Return a row's numbers and short texts: what a list of problems shows."""
    stopped = None if row.stopped_by is None else row.stopped_by.rule
    return {
        "status": row.status,
        "right": row.right,
        "answer": None if row.answer is None else row.answer[:200],
        "costs": known_costs(row),
        "calls": row.costs.calls,
        "samples": len(row.draws),
        "stopped": stopped,
        "error": None if row.error is None else row.error[:300],
    }


def detail(row: Row) -> dict[str, Any]:
    """Return candidates, calls and spans of a row. Equal prompts are there once."""
    prompts: dict[str, Any] = {}
    records = [_record(record, prompts) for record in row.trace]
    return {
        "text": _cut(row.text),
        "stopped_by": None if row.stopped_by is None else row.stopped_by.model_dump(),
        "check_failure": row.check_failure,
        "error": row.error,
        "usage": row.usage.model_dump(mode="json"),
        "parse_failures": row.parse_failures,
        "failed_calls": row.failed_calls,
        "replayed_calls": row.replayed_calls,
        "earlier": _earlier(row),
        "draws": [{**draw.model_dump(mode="json"), "text": _cut(draw.text)} for draw in row.draws],
        "trace": records,
        "prompts": prompts,
    }


def _earlier(row: Row) -> dict[str, Any] | None:
    """Return how often a problem was tried before, and what that has lost."""
    lost = row.earlier.lost
    told = {"tries": row.earlier.tries, "killed": row.earlier.killed, "calls": lost.calls}
    told["tokens"] = lost.total_tokens
    return {**told, "usd": lost.cost_usd} if row.earlier.tries else None


def size(found: dict[str, Any]) -> int:
    """Return the bytes a detail takes as JSON."""
    return len(json.dumps(found, ensure_ascii=False).encode("utf-8", "backslashreplace"))


def _record(record: dict[str, Any], prompts: dict[str, Any]) -> dict[str, Any]:
    event = record.get("event")
    if event == "call":
        kept = {name: value for name, value in record.items() if name in _KEPT}
        if "prompt" in record:
            digest = str(record.get("prompt_digest", len(prompts)))
            kept["prompt_digest"] = digest
            prompts.setdefault(digest, [_message(each) for each in record["prompt"]])
        text = record.get("text")
        kept["text"] = [_cut(each) for each in text] if isinstance(text, list) else _cut(text)
        return {"event": "call", **kept}
    return {name: value for name, value in record.items() if name != "trace_id"}


def _message(message: Any) -> dict[str, str]:
    told = message if isinstance(message, dict) else {"content": message}
    return {"role": str(told.get("role", "")), "content": _cut(str(told.get("content", ""))) or ""}


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}\n[{len(text) - _LONGEST:,} more characters left out]"
