"""From a prompt and a call's options to the request that the layers carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from tts.errors import ConfigError
from tts.messages import Message, Request, Sampling
from tts.prompts import Prompt
from tts.spans import seed_of

__all__ = ["Requests", "as_prompt", "as_prompts"]

_MOST_BLANKS = 128
_UNKNOWN = ({"role": "user", "content": ""},)
_FIELDS = set(Request.model_fields)
_set = object.__setattr__  # a frozen model has no other way


def as_prompt(prompt: str | Prompt | Sequence[Message], role: str) -> Prompt:
    """Return what is asked as a prompt; a role that is given replaces the prompt's own."""
    if isinstance(prompt, Prompt):
        return Prompt(role, prompt.messages) if role else prompt
    if isinstance(prompt, str):
        return Prompt.of(prompt, role or "solve")
    return Prompt(role or "solve", tuple(prompt))


def as_prompts(
    prompt: str | Prompt | Sequence[Message] | Sequence[Prompt], role: str
) -> tuple[Prompt, ...]:
    """Return the prompts that a sample's tickets ask in turn; most samples ask one."""
    if isinstance(prompt, str | Prompt):
        return (as_prompt(prompt, role),)
    several = [each for each in prompt if isinstance(each, Prompt)]
    if several:
        return tuple(as_prompt(each, role) for each in several)
    return (as_prompt([each for each in prompt if isinstance(each, Message)], role),)


class Requests:
    """Builds the requests of one model.

    A run makes many calls with few distinct settings, and validation is the dearest part of a
    call. So each distinct role and options are validated once, to a *blank*: the fields of a
    request that lacks its messages and its place. A call fills them in.

    Args:
        sampling: How the model samples where a call does not say.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = dict(sampling)
        settings = self._sampling

        @lru_cache(_MOST_BLANKS, typed=True)  # typed, because True equals 1 and is no integer
        def blank(role: str, **options: object) -> dict[str, Any]:
            return _blank(role, settings, options)

        self._blank = blank

    def build(
        self,
        prompt: Prompt,
        options: Mapping[str, object],
        seed: int,
        path: str,
        ticket: int,
        n: int = 1,
    ) -> Request:
        """Return the request of a call.

        Args:
            prompt: Its messages and role.
            options: Settings of this call; they win over the model's.
            seed: The run's seed, from which the call's own is derived.
            path: The span the call stands in.
            ticket: Its place in that span.
            n: Completions to draw in this one call.

        Raises:
            ConfigError: If an option is out of range, or a message is none.
        """
        try:
            blank = self._blank(prompt.role, **options)
        except TypeError:  # a list, say, cannot be looked up
            blank = _blank(prompt.role, self._sampling, options)
        fields = blank.copy()
        fields["messages"] = _messages(prompt)
        fields["seed"] = seed_of(seed, path, ticket)
        fields["span"] = path
        fields["ticket"] = ticket
        fields["n"] = n
        return _unchecked(fields)


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    messages = prompt.messages
    for message in messages:
        if type(message) is not Message:
            return _validated(prompt.role, {"messages": messages}).messages
    return messages or _validated(prompt.role, {"messages": messages}).messages


def _unchecked(fields: dict[str, Any]) -> Request:
    """Return the request with all these fields: `model_construct`, at a seventh of its cost."""
    request = Request.__new__(Request)
    _set(request, "__dict__", fields)
    _set(request, "__pydantic_fields_set__", _FIELDS)
    _set(request, "__pydantic_extra__", None)
    _set(request, "__pydantic_private__", None)
    return request


def _blank(
    role: str, sampling: Mapping[str, object], options: Mapping[str, object]
) -> dict[str, Any]:
    filled = {"messages": _UNKNOWN, "seed": 0, "span": "", "ticket": 0}
    return dict(_validated(role, {**sampling, **options, **filled}))


def _validated(role: str, fields: Mapping[str, object]) -> Request:
    try:
        return Request.model_validate({**fields, "role": role})
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise ConfigError(f"call of role {role!r}: {where}: {detail['msg']}") from error
