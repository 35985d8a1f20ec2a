"""Held-out problems asked with the library's own templates, and what our engine makes of them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tts.backends.reference.bundled import MAIN, ModelFiles, bundled
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.model import Transformer
from tts.backends.reference.rendering import Renderer
from tts.backends.reference.sampling import Settings
from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.instructions import shipped
from tts.backends.reference.training.solutions import draft
from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import Problem, draw_problem
from tts.backends.reference.weights import load_config, load_tensors
from tts.messages import Message

__all__ = [
    "LIMIT",
    "MODEL",
    "Written",
    "differing",
    "problems",
    "prompts",
    "renderer",
    "tokenizer",
    "written",
]

MODEL: ModelFiles = bundled(os.environ.get("BUNDLED_MODEL", MAIN))
"""The model that is tried."""
LIMIT = 250
"""Most tokens of an answer."""
_LEVELS = (1, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Written:
    """A prompt, and the most probable text after it, as our engine writes it."""

    prompt: str
    ids: tuple[int, ...]
    tokens: tuple[int, ...]
    """The end token, where there is one, included."""
    text: str
    logprobs: tuple[float, ...]
    margins: tuple[float, ...]
    """By how much each token is more probable than the next best, in nats."""


def problems(count: int, levels: Sequence[int] = _LEVELS) -> list[Problem]:
    """Return held-out problems, level by level and form by form in turn."""
    rng = random.Random("oracle")
    return [
        draw_problem(rng, levels[index % len(levels)], FORMS[index // len(levels) % 2], "test")
        for index in range(count)
    ]


def prompts(count: int) -> list[str]:
    """Return prompts: half ask for a solution, the others go round the roles."""
    rng = random.Random("oracle roles")
    roles: tuple[Callable[[Problem], str], ...] = (
        lambda problem: _asked("direct", problem),
        lambda problem: _asked("outline", problem, count=4),
        lambda problem: _asked("decompose", problem),
        lambda problem: _asked("difficulty", problem),
        lambda problem: _asked("verify", problem, solution=draft(problem, rng).text),
        lambda problem: _asked("critique", problem, solution=draft(problem, rng).text),
    )
    return [
        roles[index // 2 % len(roles)](problem) if index % 2 else _asked("solve", problem)
        for index, problem in enumerate(problems(count))
    ]


def _asked(role: str, problem: Problem, **variables: object) -> str:
    return shipped().render(role, problem=problem.text, **variables).messages[0].content


@cache
def tokenizer() -> Tokenizer:
    """Return the bundled tokenizer."""
    return Tokenizer(MODEL.tokenizer)


@cache
def renderer() -> Renderer:
    """Return what writes the chat format."""
    return Renderer(tokenizer())


@cache
def written(count: int) -> tuple[Written, ...]:
    """Return what our engine writes after so many prompts, all in one batch."""
    config = load_config(MODEL.config)
    model = Transformer(config, load_tensors(MODEL.tensors, config))
    asked = prompts(count)
    rows = [
        Row(
            prompt=renderer().prompt((Message(role="user", content=text),)),
            settings=Settings(temperature=0.0),
            limit=LIMIT,
            stops=frozenset({renderer().end}),
            tops=2,
        )
        for text in asked
    ]
    Engine(model).run(rows)
    return tuple(_read(text, row) for text, row in zip(asked, rows, strict=True))


def _read(prompt: str, row: Row) -> Written:
    best = row.alternatives
    return Written(
        prompt=prompt,
        ids=row.prompt,
        tokens=tuple(row.tokens),
        text=tokenizer().decode(row.tokens),
        logprobs=tuple(row.logprobs),
        margins=tuple(first[1] - second[1] for first, second in best),
    )


def differing(ours: Written, tokens: Sequence[int]) -> str | None:
    """Say where another engine's tokens part from ours and how sure we were; None where never."""
    for place, (own, other) in enumerate(zip(ours.tokens, tokens, strict=False)):
        if own != other:
            return f"token {place} is {other}, not {own} (ahead by {ours.margins[place]:.1e} nats)"
    if len(tokens) != len(ours.tokens):
        return f"{len(tokens)} tokens, not {len(ours.tokens)}"
    return None
