"""Scripted models that play several roles, and what they were asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tts
from tts.backends import Backend
from tts.messages import Completion, Request
from tts.testing import ScriptedBackend, completion, virtual_run

Reply = str | Iterable[str] | Callable[[Request], str | Completion]


def acting(**roles: Reply) -> ScriptedBackend:
    """Return a model that answers each role by a text, by texts in turn, or by a function."""
    turns = {
        role: reply if callable(reply) or isinstance(reply, str) else iter(reply)
        for role, reply in roles.items()
    }

    def script(request: Request) -> str | Completion:
        reply = turns[request.role]
        if isinstance(reply, str):
            return reply
        return reply(request) if callable(reply) else next(reply)

    return ScriptedBackend(script)


def solved(backend: Backend, strategy: str, problem: str = "q", **settings: Any) -> tts.Solution:
    """Solve with a strategy by name; `budget` and `seed` are the solve's own."""
    own: Mapping[str, Any] = {
        key: settings.pop(key) for key in ("budget", "seed") if key in settings
    }
    chosen = {"use": strategy, **settings}
    return virtual_run(lambda: tts.solve(problem, chosen, model=backend, **own))


def asked(backend: ScriptedBackend, role: str) -> list[str]:
    """Return the prompts that a role was asked, in order of arrival."""
    return [each.messages[0].content for each in backend.requests if each.role == role]


def roles(backend: ScriptedBackend) -> list[str]:
    """Return the roles in order of arrival."""
    return [request.role for request in backend.requests]


def answering_in_turn(*answers: str) -> list[str]:
    """Return completions that give these answers."""
    return [f"Answer: {answer}" for answer in answers]


def in_turn(*drafts: tuple[str, float]) -> Any:
    """Return a role that gives these answers with these mean log-probabilities."""
    left = iter(drafts)

    def reply(request: Request) -> Completion:
        answer, logprob = next(left)
        return completion(f"Answer: {answer}", logprob=logprob)

    return reply


SURE = (("1", -2.0), ("1", -2.0), ("2", -0.01))
"""Two unsure drafts of one answer against a sure one of another."""
