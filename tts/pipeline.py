"""Pipelines: models, a strategy, roles and a budget, as one frozen object or one YAML file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, PrivateAttr, ValidationError, model_validator

from tts.answers import AnswerFormat
from tts.backends.base import Provider
from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.layers import Budget
from tts.problem import Problem
from tts.prompts import check_template
from tts.registry import mistake, nearest
from tts.strategy import Strategy

__all__ = ["Pipeline", "describe", "read_text"]

Location = tuple[int | str, ...]
_MOST_VALUES = 20_000
_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


class _Loader(yaml.SafeLoader):
    """Reads `1e-3` as the number it is; YAML 1.1 wants a point in it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class Pipeline(Frozen):
    """Everything a solve needs but the problem and the seed."""

    models: Annotated[dict[str, Provider], Field(min_length=1)]
    """Models by name; the first one plays every role that is not assigned."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """Most calls in flight at once, of all models together; null leaves it to each model's own."""
    strategy: Strategy
    roles: dict[str, str] = Field(default_factory=dict)
    """Role to model name."""
    budget: Budget = Budget.model_construct()
    """The most that one problem may cost."""
    answer: AnswerFormat = AnswerFormat.model_construct()
    """How to find the answer in a completion."""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Templates that replace the strategies' own, by role."""

    _marks: dict[Location, tuple[int, int]] = PrivateAttr(default_factory=dict)
    _path: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _roles_are_asked(self) -> Self:
        asked = self.strategy.roles()
        for key in ("roles", "prompts"):
            for role in getattr(self, key):
                if role not in asked:
                    message = f"{self.strategy.name} asks no such role; {nearest(role, asked)}"
                    raise mistake(Pipeline, (key, role), message, role)
        return self

    @model_validator(mode="after")
    def _prompts_are_templates(self) -> Self:
        for role, text in self.prompts.items():
            try:
                check_template(text)
            except ConfigError as error:
                raise mistake(Pipeline, ("prompts", role), error.message, text) from error
        return self

    @model_validator(mode="after")
    def _roles_name_models(self) -> Self:
        names = tuple(self.models)
        for role, name in self.roles.items():
            if name not in self.models:
                raise mistake(
                    Pipeline, ("roles", role), f"no model {name!r}; {nearest(name, names)}", name
                )
        return self

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a pipeline file.

        Raises:
            ConfigError: With file, line and column, if the file cannot be read or is wrong.
        """
        text = read_text(path)
        values, marks = _parse_yaml(text, str(path))
        try:
            pipeline = cls.model_validate(values)
        except ValidationError as error:
            raise _first_mistake(error, str(path), marks) from error
        pipeline._marks, pipeline._path = marks, str(path)
        return pipeline

    def problem(self, text: str, id: str | int | None = None) -> Problem:  # noqa: A002  # the field's name
        """Return a problem with this pipeline's answer format.

        Raises:
            ConfigError: If the text is empty.
        """
        try:
            return Problem(text=text, answer_format=self.answer, id=id)
        except ValidationError as error:
            raise ConfigError(describe(error).removeprefix("text: ")) from error

    def fingerprint(self, strategy: Strategy | None = None) -> str:
        """Return a digest of all that decides what is sampled and how answers are read and counted.

        Models with their sampling settings, prompts, answer format, and the strategy but for its
        rule: two pipelines with the same fingerprint draw from the same law.

        Args:
            strategy: One in place of the pipeline's own.
        """
        first, asking = next(iter(self.models)), strategy or self.strategy
        prompts = asking.prompts(self.prompts)
        roles = {}
        for role in asking.roles():
            provider = self.models[self.roles.get(role, first)]
            sampling = provider.sampling.model_dump(mode="json")
            roles[role] = [provider.identity(), sampling, prompts.source(role)]
        settings = asking.settings()
        settings.pop("stop", None)
        values = [roles, settings, self.answer.model_dump(mode="json")]
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def mistake(self, message: str, *location: int | str) -> ConfigError:
        """Return an error that points at a place in the file this pipeline was read from."""
        return _error(message, self._path, self._marks, location)


def read_text(path: str | Path) -> str:
    """Read a UTF-8 file.

    Raises:
        ConfigError: If it cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at byte {error.start}", path=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot read: {error.strerror}", path=str(path)) from error


def _parse_yaml(text: str, path: str) -> tuple[Any, dict[Location, tuple[int, int]]]:
    """Return the file's values, and where each of them stands (line and column from 1)."""
    marks: dict[Location, tuple[int, int]] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ConfigError("the file is empty", path=path, line=1, column=1)
        _mark(node, (), marks, path)
        return loader.construct_document(node), marks
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        raise ConfigError(f"not YAML: {error.problem}", path=path, **where) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", path=path) from error


def _mark(
    node: yaml.Node, location: Location, marks: dict[Location, tuple[int, int]], path: str
) -> None:
    if len(marks) > _MOST_VALUES:  # aliases of aliases multiply
        raise ConfigError(f"more than {_MOST_VALUES} values", path=path)
    marks.setdefault(location, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _mark(item, (*location, index), marks, path)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            message = _key_mistake(key, seen)
            if message:
                raise ConfigError(message, path=path, line=line, column=column)
            seen.add(key.value)
            marks[(*location, key.value)] = (line, column)
            _mark(value, (*location, key.value), marks, path)


def _key_mistake(key: yaml.Node, seen: set[str]) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return "a key must be a plain word; a text with braces needs quotes"
    if key.tag not in _KEY_TAGS:  # YAML reads 7, no and null as something else
        return f"a key must be a text, and YAML reads {key.value or 'nothing'} as none: quote it"
    return f"{key.value!r} twice" if key.value in seen else ""


def _first_mistake(
    error: ValidationError, path: str, marks: Mapping[Location, tuple[int, int]]
) -> ConfigError:
    return _error(describe(error), path, marks, error.errors()[0]["loc"])


def describe(error: ValidationError) -> str:
    """One line for the first mistake, in a user's words."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {name!r}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message[0].lower()}{message[1:]}" if name else message


def _error(
    message: str,
    path: str | None,
    marks: Mapping[Location, tuple[int, int]],
    location: Location,
) -> ConfigError:
    while location and location not in marks:
        location = location[:-1]
    line, column = marks.get(location, (None, None))
    return ConfigError(message, path=path, line=line, column=column)
