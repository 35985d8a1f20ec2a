"""Suites: tasks x models x strategies x budgets x seeds, as one frozen object or one YAML file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from tts.backends.base import Provider
from tts.errors import ConfigError
from tts.evals.deciding import deciding
from tts.evals.entry import Entry
from tts.evals.records import Cell
from tts.evals.tasks.base import Example, Task
from tts.frozen import Frozen
from tts.layers import Budget
from tts.mistakes import describe, first_mistake
from tts.pipeline import Pipeline
from tts.registry import mistake, nearest
from tts.strategy import Strategy
from tts.yaml_files import Location, Marks, located, parse_yaml, read_text

__all__ = ["BASELINE", "EQUALS", "Baseline", "Equal", "Lineup", "Suite"]

BASELINE: Final = "baseline"
"""The label of the self-consistency that the strategies are compared with."""
ALONE: Final = (
    "it hands on from problem to problem (carry), and a suite solves each problem by itself, in no "
    "order, so that they can be compared: leave carry out here; `tts run` carries"
)
Equal: TypeAlias = Literal["total", "critical", "usd"]
EQUALS: Final[tuple[Equal, ...]] = ("total", "critical", "usd")


class Lineup(Frozen):
    """The models that strategies are run with: one, or several and who plays which role.

    A backend's name or settings, as under a name in a pipeline's `models`, is a line-up of one.
    """

    models: Annotated[dict[str, Provider], Field(min_length=1)]
    """Models by name."""
    roles: dict[str, str] = Field(default_factory=dict)
    """Role to model name; a strategy takes those that it asks. Where there are several models, each
    role that a strategy asks stands here, the baseline's `solve` too."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """Most calls in flight at once, of all its models together; null leaves it to each."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = super().__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_before_validator_function(cls._lined_up, inner)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        whole = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [Provider.__get_pydantic_json_schema__(schema, handler), whole]}

    @classmethod
    def shape_of(cls, value: object) -> type[Frozen]:
        """Return the class whose keys a value has: a backend's, where it is a line-up of one."""
        return cls if cls._is_whole(value) else Provider.shape_of(value)

    @staticmethod
    def _is_whole(value: object) -> bool:
        return isinstance(value, Lineup) or (isinstance(value, Mapping) and "models" in value)

    @classmethod
    def _lined_up(cls, value: object) -> object:
        return value if cls._is_whole(value) else {"models": {"model": Provider.parse(value)}}


class Baseline(Frozen):
    """The self-consistency that strategies are compared with: plain votes over a pool."""

    samples: Annotated[int, Field(ge=2)] = 64
    """The pool's samples a problem; what costs more than all of them is compared with them all."""

    @property
    def strategy(self) -> Strategy:
        """Self-consistency that draws the whole pool."""
        settings = {"use": "self_consistency", "samples": self.samples, "stop": "never"}
        return Strategy.parse(settings)


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    ((seed, often),) = Counter(seeds).most_common(1)
    if often > 1:
        raise ValueError(f"{seed} stands there {often} times, and would give the same rows")
    return seeds


class Suite(Frozen):
    """A grid of experiments: each strategy solves each task with each model, budget and seed."""

    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    models: Annotated[dict[str, Lineup], Field(min_length=1)]
    """Models, or line-ups of several, by the name that reports call them."""
    strategies: Annotated[dict[str, Strategy], Field(min_length=1)]
    """Strategies by the name that reports call them."""
    budgets: Annotated[dict[str, Budget], Field(min_length=1)] = Field(
        default_factory=lambda: {"none": Budget()}
    )
    """The most that a problem may cost, by name; the baseline has none."""
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_different)
    ] = (0,)
    """Each problem is solved once with each of them."""
    equal: Annotated[
        tuple[Equal, ...],
        BeforeValidator(_several),
        WithJsonSchema({"anyOf": [{"enum": EQUALS}, {"type": "array", "items": {"enum": EQUALS}}]}),
    ] = ()
    """At which equal cost strategies are compared with the baseline, which is then added: all
    tokens, those of the longest chain of calls, or dollars."""
    baseline: Baseline = Baseline()
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Problems under way at once."""
    share: bool = True
    """Strategies that ask the same calls share the answers, and pay as if each had asked."""
    keep: Literal["texts", "trace", "answers"] = "texts"
    """What is kept of each problem beside its result: everything, no texts, or answers alone."""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Templates that replace the strategies' own, by role; a strategy takes those that it asks."""

    _marks: Marks = PrivateAttr(default_factory=dict)
    _path: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        if BASELINE in self.strategies:
            message = f"{BASELINE!r} is the name of what --equal adds: choose another"
            raise mistake(Suite, ("strategies", BASELINE), message, BASELINE)
        ((title, often),) = Counter(task.title for task in self.tasks).most_common(1)
        if often > 1:
            message = f"{often} tasks are called {title!r}, and reports could not tell them apart"
            raise mistake(Suite, ("tasks",), message, title)
        return self

    @model_validator(mode="after")
    def _problems_stand_alone(self) -> Self:
        for name, strategy in self.strategies.items():
            if strategy.carries():
                raise mistake(Suite, ("strategies", name), ALONE, name)
        return self

    @model_validator(mode="after")
    def _roles_are_asked(self) -> Self:
        every = (*self.strategies.values(), self.baseline.strategy)  # --equal may add it later
        asked = tuple(sorted({role for each in every for role in each.roles()}))
        places = [("prompts", role) for role in self.prompts]
        for name, lineup in self.models.items():
            places += [("models", name, "roles", role) for role in lineup.roles]  # type: ignore[misc]  # longer tuples
        for place in places:
            if place[-1] not in asked:
                message = f"no strategy here asks such a role; {nearest(place[-1], asked)}"
                raise mistake(Suite, place, message, place[-1])
        return self

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a suite file.

        Raises:
            ConfigError: With file, line and column, if the file cannot be read or is wrong.
        """
        values, marks = parse_yaml(read_text(path), str(path))
        try:
            suite = cls.model_validate(values)
        except ValidationError as error:
            raise first_mistake(error, str(path), marks, cls, values) from error
        suite._marks, suite._path = marks, str(path)
        return suite

    def with_equal(self, *equal: Equal) -> Self:
        """Return the suite with other equal costs; mistakes are told at the same places."""
        changed = self.model_copy(update={"equal": equal})
        changed._marks, changed._path = self._marks, self._path
        return changed

    def mistake(self, message: str, *location: int | str) -> ConfigError:
        """Return an error that points at a place in the file this suite was read from."""
        return located(message, self._path, self._marks, location)

    def examples(self) -> dict[str, tuple[Example, ...]]:
        """Return the problems of each task, by its title.

        Raises:
            ConfigError: If a task has none to give: at its place, or at the wrong line of its file.
        """
        found = {}
        for place, task in enumerate(self.tasks):
            try:
                found[task.title] = task.examples()
            except ConfigError as error:
                if error.line is not None:
                    raise
                file = getattr(task, "path", None)
                where = file.absolute() if file and str(file) == error.path else error.path
                told = f"{where}: {error.message}" if where else error.message
                raise self.mistake(told, "tasks", place, "path") from error
        return found

    def entries(self) -> list[Entry]:
        """Return the cells of the grid, the baseline's first.

        Raises:
            ConfigError: If a strategy cannot be put together with the models and prompts.
        """
        return list(self._entries())

    def _entries(self) -> Iterator[Entry]:
        strategies = {name: (each, ("strategies", name)) for name, each in self.strategies.items()}
        grid: list[tuple[str, Strategy, Location, str, Budget]] = [
            (name, each, place, label, budget)
            for name, (each, place) in strategies.items()
            for label, budget in self.budgets.items()
        ]
        if self.equal:
            grid.insert(0, (BASELINE, self.baseline.strategy, (BASELINE,), "none", Budget()))
        self._check_roles({name: strategy for name, strategy, *_ in grid})
        for task in self.tasks:
            for model, lineup in self.models.items():
                for seed in self.seeds:
                    for name, strategy, place, label, budget in grid:
                        pipeline = self._pipeline(lineup, strategy, budget, place)
                        cell = Cell(
                            task=task.title,
                            model=model,
                            strategy=name,
                            budget=label,
                            seed=seed,
                            is_baseline=name == BASELINE,
                            settings=deciding(task, pipeline),
                        )
                        yield Entry(cell, task, pipeline, place)

    def _check_roles(self, strategies: Mapping[str, Strategy]) -> None:
        """Refuse a line-up of several models that leaves open which of them is compared."""
        for model, lineup in self.models.items():
            asking: dict[str, list[str]] = defaultdict(list)
            for name, strategy in strategies.items():
                for role in strategy.roles():
                    if role not in lineup.roles and len(lineup.models) > 1:
                        asking[role].append(name)
            if asking:
                told = _told_roles(lineup, asking)
                raise self.mistake(told, "models", model, *(["roles"] if lineup.roles else []))

    def _pipeline(
        self, lineup: Lineup, strategy: Strategy, budget: Budget, place: Location
    ) -> Pipeline:
        asked = strategy.roles()
        try:
            return Pipeline(
                models=lineup.models,
                concurrency=lineup.concurrency,
                strategy=strategy,
                roles={role: name for role, name in lineup.roles.items() if role in asked},
                budget=budget,
                prompts={role: text for role, text in self.prompts.items() if role in asked},
            )
        except ValidationError as error:
            own = error.errors()[0]["loc"]  # of what stands once for all: prompts
            raise self.mistake(describe(error), *(own if own in self._marks else place)) from error


def _told_roles(lineup: Lineup, asking: Mapping[str, Sequence[str]]) -> str:
    """Say which roles are open, who asks them, and what to write."""
    open_ = (f"{role!r} (asked by {', '.join(names)})" for role, names in asking.items())
    last = list(lineup.models)[-1]
    written = ", ".join(
        f"{role}: {name}" for role, name in {**lineup.roles, **dict.fromkeys(asking, last)}.items()
    )
    return (
        f"of {len(lineup.models)} models ({', '.join(lineup.models)}), which one plays "
        f"{', '.join(open_)}? Say so, for instance: roles: {{{written}}}"
    )
