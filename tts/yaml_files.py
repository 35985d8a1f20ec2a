"""YAML files whose mistakes are told with file, line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tts.errors import ConfigError

__all__ = ["Location", "Marks", "located", "parse_yaml", "read_text"]

Location: TypeAlias = tuple[int | str, ...]
"""A path of keys and indices to a value."""
Marks: TypeAlias = Mapping[Location, tuple[int, int]]
"""Where values stand in a file: line and column, from 1."""

_MOST_VALUES = 20_000
_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


class _Loader(yaml.SafeLoader):
    """Reads `1e-3` as the number it is; YAML 1.1 wants a point in it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


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
    except ValueError as error:  # a name that no file can have
        raise ConfigError(f"cannot read: {error}", path=repr(str(path))) from error


def parse_yaml(text: str, path: str) -> tuple[Any, Marks]:
    """Return the file's values, and where each of them stands.

    Raises:
        ConfigError: If the text is no YAML, or is empty.
    """
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


def located(message: str, path: str | None, marks: Marks, location: Location) -> ConfigError:
    """Return an error that points at a value, or at the nearest one around it that has a place."""
    while location and location not in marks:
        location = location[:-1]
    line, column = marks.get(location, (None, None))
    return ConfigError(message, path=path, line=line, column=column)
