"""What went wrong, by HTTP status and the error's code; by its words only where nothing else says.

400 413 422   ContextLengthExceeded if it says so, else BackendError: the request is refused
401 403       AuthenticationError
402           AuthenticationError: no credit; so is a 429 that no waiting will cure
408 504       BackendTimeout
429           RateLimited
3xx           BackendError: redirected to another host
5xx 529       BackendUnavailable
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tts.backends.wire.patience import retry_after
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    RateLimited,
)

__all__ = ["Said", "failure", "said"]

_LONGEST_QUOTE = 300
_CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error", "context_exceeded"}
_CONTEXT_WORDS = re.compile(
    r"context (?:length|size|window)"  # OpenAI, vLLM, SGLang, llama.cpp, LM Studio
    r"|prompt is too long"  # Anthropic
    r"|maximum number of tokens allowed"  # Gemini
    r"|`inputs` tokens \+ `max_new_tokens`"  # TGI
    r"|prompt contains .* tokens",
    re.IGNORECASE,
)
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "credit_balance_too_low"}
_REFUSED = {"invalid_request_error", "not_found_error", "badrequesterror", "invalid_argument"}


@dataclass(frozen=True, slots=True)
class Said:
    """What a server's error says, whichever shape it has."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""

    @property
    def words(self) -> set[str]:
        """Code and kind, in lower case."""
        return {self.code.lower(), self.kind.lower()}


def said(body: Any) -> Said:
    """Read the error out of a response's JSON.

    OpenAI, Anthropic and Google nest it under `error`, older vLLM does not, Ollama and TGI give a
    text, FastAPI gives `detail`.
    """
    if isinstance(body, list) and body:  # Gemini wraps a stream's error
        body = body[0]
    if not isinstance(body, Mapping):
        return Said()
    error = body.get("error", body)
    if isinstance(error, str):
        return Said(error, kind=_text(body.get("error_type")))
    if not isinstance(error, Mapping):
        return Said()
    message = error.get("message") or error.get("detail") or ""
    return Said(
        message if isinstance(message, str) else str(message),
        _text(error.get("code")),
        _text(error.get("type") or error.get("status")),
        _text(error.get("param")),
    )


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def failure(
    server: str, status: int, headers: Mapping[str, str], body: Any, *, secret: str = ""
) -> BackendError:
    """Return the error for a response that is none of the successful ones.

    Args:
        server: How messages call the server.
        status: HTTP status; of an error within a stream, the status that it names, or 0.
        headers: The response's headers.
        body: Its JSON, or None.
        secret: The key that was sent; it never enters a message.
    """
    told = said(body)
    quote = _quote(told.message, secret)
    if _is_context(status, told):
        return ContextLengthExceeded(
            f"{server}: prompt and max_tokens do not fit the model's context{quote}",
            status=status,
        )
    if told.words & _NO_CREDIT or status == 402:
        return AuthenticationError(
            f"{server}: no credit left: top up the account{quote}", status=status or None
        )
    if status == 401:  # not quoted: servers repeat parts of the key
        return AuthenticationError(f"{server}: the key is missing or wrong", status=status)
    if status == 403 or "authentication_error" in told.words:
        return AuthenticationError(
            f"{server}: the key does not allow this{quote}", status=status or None
        )
    if status == 429 or told.words & {"rate_limit_exceeded", "rate_limit_error"}:
        wait = retry_after(headers, body)
        return RateLimited(f"{server}: too many requests{quote}", status=429, retry_after=wait)
    if status in {408, 504}:
        return BackendTimeout(f"{server}: HTTP {status}, it gave up waiting{quote}", status=status)
    if status >= 500 or status == 409 or (status == 0 and not told.words & _REFUSED):
        return BackendUnavailable(
            f"{server}: HTTP {status or 'error within the stream'}{quote}",
            status=status or None,
            retry_after=retry_after(headers, body) if status in {503, 529} else None,
        )
    return BackendError(_refusal(server, status, told, quote, headers), status=status or None)


def _refusal(server: str, status: int, told: Said, quote: str, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        return f"{server}: redirects to {_host(headers.get('location', ''))}: correct base_url"
    if status == 404:
        return f"{server}: no such model or path: check model and base_url{quote}"
    if told.param and told.code in {"unsupported_parameter", "unsupported_value"}:
        return f"{server}: the model refuses {told.param!r}: leave it out by omit: [{told.param}]"
    return f"{server}: the request is refused (HTTP {status}){quote}"


def _is_context(status: int, told: Said) -> bool:
    if told.words & _CONTEXT_CODES:
        return True
    return status in {400, 413, 422, 500} and _CONTEXT_WORDS.search(told.message) is not None


def _host(location: str) -> str:
    """Return a redirect's target without its query, which may hold anything."""
    return location.partition("?")[0][:100] or "nowhere"


def _quote(message: str, secret: str) -> str:
    """Return the server's words on one line, cut, without the key."""
    if secret:
        message = message.replace(secret, "***")
    words = " ".join(message.split())
    cut = words if len(words) <= _LONGEST_QUOTE else words[:_LONGEST_QUOTE] + "..."
    return f": {cut}" if cut else ""
