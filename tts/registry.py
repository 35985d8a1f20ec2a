"""Components chosen by name: the registry over entry points, and how a name becomes an object.

A *family* (strategies, stopping rules, votes, backends) is a `Component` with an entry-point
group; its members are frozen pydantic models whose fields are their settings. Wherever a field
has a family as its type, YAML may give a name (`dominance`) or a mapping (`{use: pdr, k: 2}`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Self

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tts.errors import ConfigError
from tts.frozen import Frozen

__all__ = ["Component", "mistake", "nearest"]

_expanding: ContextVar[tuple[str, ...]] = ContextVar("expanding", default=())


def nearest(name: str, names: tuple[str, ...]) -> str:
    """Return a hint for an unknown name: the nearest known one, else the whole list.

    >>> nearest("dominanse", ("dominance", "never"))
    "did you mean 'dominance'?"
    """
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"


@cache
def _entry_points(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    """All entry points of a group by name; more than one where packages claim the same name."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=group)):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} ({point.value})" if point.dist else point.value


class Component(Frozen):
    """A frozen object of settings that can be chosen by name.

    `class StoppingRule(Component, group="tts.rules", label="rule")` opens a family;
    `class Never(StoppingRule, name="never")` is a member, found through an entry point of that
    group in any installed package.
    """

    name: ClassVar[str]
    """The name in the registry and in YAML."""
    group: ClassVar[str]
    """The family's entry-point group."""
    choice: ClassVar[str]
    """The YAML key that holds the name."""
    label: ClassVar[str]
    """What a member is called in messages."""

    def __init_subclass__(
        cls,
        *,
        name: str = "",
        group: str = "",
        label: str = "",
        choice: str = "use",
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if not (name or group):
            raise TypeError(
                f"{cls.__name__} needs a name: class {cls.__name__}(..., name=...); "
                "a new family gives group= and label= instead"
            )
        if group:
            cls.group, cls.label, cls.choice = group, label, choice
        if name:
            cls.name = name

    def parts(self) -> Iterator[Component]:
        """Yield all components among the settings, and theirs."""
        for _, value in self:
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Component):
                    yield each
                    yield from each.parts()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all installed members, sorted."""
        return tuple(_entry_points(cls.group))

    @classmethod
    def named(cls, name: str) -> type[Self]:
        """Return the member of that name.

        Raises:
            ConfigError: If no such member is installed, two packages claim the name, or its
                package is broken.
        """
        points = _entry_points(cls.group).get(name, ())
        if not points:
            raise ConfigError(f"unknown {cls.label} {name!r}; {nearest(name, cls.names())}")
        if len(points) > 1:
            packages = " and ".join(_package(point) for point in points)
            raise ConfigError(f"{cls.label} {name!r} is registered by {packages}: uninstall one")
        return cls._loaded(points[0])

    @classmethod
    def _loaded(cls, point: EntryPoint) -> type[Self]:
        package = _package(point)
        try:
            member = point.load()
            if isinstance(member, type) and issubclass(member, Component):
                member.model_rebuild()  # mistakes in annotations show here
        except Exception as error:  # whatever a package does, the others must go on
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigError(f"{cls.label} {point.name!r} of {package} fails: {reason}") from error
        if not (isinstance(member, type) and issubclass(member, cls) and member is not cls):
            raise ConfigError(f"{package} is not a {cls.label}: repair its package")
        own = getattr(member, "name", None)
        if own != point.name:
            raise ConfigError(
                f"{package} is registered as {cls.label} {point.name!r} and calls itself {own!r}: "
                "repair its package"
            )
        return member

    @classmethod
    def survey(cls) -> tuple[list[type[Self]], list[ConfigError]]:
        """Return all members that can be used, and what is wrong with the others."""
        members, errors = [], []
        for name in cls.names():
            try:
                members.append(cls.named(name))
            except ConfigError as error:
                errors.append(error)
        return members, errors

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the member that a name, a mapping or an object stands for.

        Raises:
            ValidationError: If the name is unknown or a setting is wrong.
        """
        if isinstance(value, cls):
            return value
        settings = dict(value) if isinstance(value, Mapping) else {cls.choice: value}
        name = settings.pop(cls.choice, None)
        if not isinstance(name, str):
            close = get_close_matches(cls.choice, map(str, settings), n=1, cutoff=0.7)
            hint = f"; did you mean '{cls.choice}' by '{close[0]}'?" if close else ""
            told = f"give a name, or a mapping with the key '{cls.choice}'{hint}"
            raise mistake(cls, (), told, value)
        try:
            member = cls.named(name)
        except ConfigError as error:
            loc = (cls.choice,) if isinstance(value, Mapping) else ()
            raise mistake(cls, loc, error.message, name) from error
        return member.model_validate(settings)

    @classmethod
    def shape_of(cls, value: object) -> type[Frozen]:
        """Return the member that a value names, in a family.

        Raises:
            ConfigError: If there is none of that name.
        """
        name = value.get(cls.choice) if isinstance(value, Mapping) else value
        return cls.named(str(name)) if "group" in cls.__dict__ else cls

    def settings(self) -> dict[str, Any]:
        """Return the object as the mapping that `parse` reads."""
        return {self.choice: self.name, **self.model_dump(mode="json")}

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        if "group" not in cls.__dict__:
            return super().__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda component: component.settings()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if "group" not in cls.__dict__:
            return cls._with_defaults(
                super().__get_pydantic_json_schema__(schema, handler), handler
            )
        if cls.group in _expanding.get():  # a family inside itself would never end
            return {"type": ["string", "object"]}
        token = _expanding.set((*_expanding.get(), cls.group))
        try:
            members = cls.survey()[0]
            described = [member._with_choice(handler) for member in members]
        finally:
            _expanding.reset(token)
        bare = [member.name for member in members if member._is_complete()]
        return {"anyOf": [{"enum": bare}, *described]}

    @classmethod
    def _with_defaults(
        cls, described: JsonSchemaValue, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Write defaults that are components as settings; pydantic leaves their names out."""
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, field in cls.model_fields.items():
            if isinstance(field.default, Component):
                properties[name]["default"] = field.default.settings()
        return described

    @classmethod
    def _with_choice(cls, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # The handler knows how to describe the family only: the member describes itself.
        described = cls.__get_pydantic_json_schema__(cls.__pydantic_core_schema__, handler)
        schema = dict(handler.resolve_ref_schema(described))
        schema["properties"] = {cls.choice: {"const": cls.name}} | schema.get("properties", {})
        schema["required"] = [cls.choice, *schema.get("required", [])]
        return schema

    @classmethod
    def _is_complete(cls) -> bool:
        """True if the bare name is enough."""
        return not any(field.is_required() for field in cls.model_fields.values())


def mistake(
    model: type[BaseModel], loc: tuple[str, ...], message: str, value: object
) -> ValidationError:
    """Return the error that a validator raises to point at a place within its value."""
    # The message goes in as a context value: braces in it must not be read as fields.
    error = PydanticCustomError("component", "{message}", {"message": message})
    return ValidationError.from_exception_data(
        model.__name__, [{"type": error, "loc": loc, "input": value}]
    )
