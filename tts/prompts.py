"""Prompts: Jinja2 templates beside the strategies, rendered in a sandbox.

The problem and earlier completions are always variables, never part of a template: nothing they say
is read as template syntax. What a model makes of words that imitate a prompt is another matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment

from tts.errors import ConfigError
from tts.messages import Message

__all__ = ["Prompt", "Prompts", "check_template", "variables"]

_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt and the role that asks it."""

    role: str
    messages: tuple[Message, ...]

    @classmethod
    def of(cls, text: str, role: str = "solve") -> Prompt:
        """Return a prompt of one user message."""
        return cls(role, (Message(role="user", content=text),))


class Prompts:
    """The templates of a strategy: `ROLE.j2` in its folders, or an override by role.

    Args:
        folders: Searched in order.
        overrides: Template texts that replace files, by role.
    """

    def __init__(
        self, folders: Sequence[Traversable], overrides: Mapping[str, str] | None = None
    ) -> None:
        self.folders = tuple(folders)
        self.overrides = dict(overrides or {})

    def render(self, role: str, **variables: Any) -> Prompt:
        """Render a role's template as one user message.

        Raises:
            ConfigError: If there is no such template, or it does not fit the variables.
        """
        try:
            text = _compiled(self.source(role)).render(variables)
        except (TemplateError, ArithmeticError, TypeError, ValueError) as error:
            raise ConfigError(f"prompt {role!r}: {error}") from error
        return Prompt.of(text.strip(), role)

    def source(self, role: str) -> str:
        """Return a role's template text.

        Raises:
            ConfigError: If there is none.
        """
        found = self.find(role)
        if found is None:
            raise ConfigError(f"no prompt {role!r}: add {role}.j2 to the strategy's prompts folder")
        return found

    def find(self, role: str) -> str | None:
        """Return a role's template text; None if there is none, as of a role that a tool asks."""
        if role in self.overrides:
            return self.overrides[role]
        for folder in self.folders:
            file = folder / f"{role}.j2"
            if file.is_file():
                return file.read_text(encoding="utf-8")
        return None


def check_template(source: str) -> None:
    """Compile a template.

    Raises:
        ConfigError: If it is none.
    """
    try:
        _compiled(source)
    except (TemplateError, RecursionError, SyntaxError, ValueError) as error:
        raise ConfigError(f"not a template: {error}") from error


@lru_cache(maxsize=256)
def variables(source: str) -> frozenset[str]:
    """Return the names that a template, which compiles, takes from outside.

    >>> sorted(variables("{% for each in drafts %}{{ each }}{% endfor %} {{ problem.text }} {it}"))
    ['drafts', 'problem']
    """
    return frozenset(find_undeclared_variables(_ENVIRONMENT.parse(source)))


@lru_cache(maxsize=256)
def _compiled(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)
