"""Finding out what an unknown server is: by its list of models, else by one call of one token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tts.backends.base import Meter
from tts.backends.openai.dialects import DIALECTS, Dialect, Server
from tts.backends.openai.reading import read_usage
from tts.backends.wire import Wire
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
)
from tts.messages import Usage

__all__ = ["Found", "look", "probe"]

_OWNERS: dict[str, Server] = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llamacpp",
    "library": "ollama",
    "organization_owner": "lmstudio",
}


_PROMPT = 8
"""Tokens of the probe's prompt where the server does not say."""


class Found(NamedTuple):
    """What a server's list of models tells.

    Attributes:
        model: The model that will answer.
        server: Which server it is; None if the list does not tell.
        context: Most tokens of prompt and completion; None if the list does not tell.
    """

    model: str
    server: Server | None
    context: int | None


async def look(wire: Wire, model: str | None) -> Found:
    """Read the list of models. Costs no tokens.

    Args:
        wire: Leads to the server.
        model: The model that is asked for; None takes the only one there is.

    Raises:
        BackendError: If the server cannot be reached, or refuses the key.
        ConfigError: If no model is named and there is not exactly one.
    """
    listed = await _models(wire)
    if model is None:
        if len(listed) != 1:
            names = ", ".join(str(each.get("id")) for each in listed[:8]) or "none that it lists"
            raise ConfigError(f"{wire.server} serves several models, or none: name one ({names})")
        model = str(listed[0]["id"])
    mine = next((each for each in listed if each.get("id") == model), listed[0] if listed else {})
    meta = mine.get("meta")
    context = mine.get("max_model_len") or (
        meta.get("n_ctx") if isinstance(meta, Mapping) else None
    )
    server = _OWNERS.get(str(mine.get("owned_by", "")).lower())
    return Found(model, server, context if isinstance(context, int) and context > 0 else None)


async def _models(wire: Wire) -> list[Mapping[str, Any]]:
    try:
        value = await wire.get("/models")
    except (AuthenticationError, BackendTimeout, BackendUnavailable):
        raise  # the calls would meet the same
    except BackendError:
        return []  # a server need not have the list
    data = value.get("data") if isinstance(value, Mapping) else None
    return [each for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []


async def probe(wire: Wire, model: str, meter: Meter) -> Dialect:
    """Ask for one token with everything that can be seen in the answer. Spends one small call.

    Args:
        wire: Leads to the server.
        model: The model that is asked.
        meter: What the call has spent is added to it.

    Raises:
        BackendError: If the server cannot be reached, or refuses the key.
    """
    payload = {
        "model": model,
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1,
        "n": 2,
        "seed": 1,
        "logprobs": True,
        "top_logprobs": 2,
    }
    unknown = DIALECTS["unknown"]
    spent = Meter(prompt_tokens=_PROMPT, completion_tokens=2, estimated=True)
    spent.start()
    try:
        value = await wire.post("/chat/completions", payload, spent)
        spent.settle(read_usage(value.get("usage")) or spent.usage)
        choices = value["choices"]
        entries = (choices[0].get("logprobs") or {}).get("content") or []
    except (AuthenticationError, BackendTimeout, BackendUnavailable):
        spent.settle(Usage())
        raise
    except BackendError:
        spent.settle(Usage())
        return unknown.model_copy(update={"sends_seed": False})
    except (KeyError, IndexError, TypeError, AttributeError):
        return unknown.model_copy(update={"sends_seed": False})
    finally:
        meter.add(spent)
    tops = len(entries[0].get("top_logprobs") or ()) if entries else 0
    seen = {"n": len(choices) == 2, "logprobs": bool(entries), "top_logprobs": 5 if tops else 0}
    return unknown.model_copy(update={"capabilities": unknown.capabilities.model_copy(update=seen)})
