"""Pipelines: models, a strategy, roles and a budget, as one frozen object or one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from tts.answers import AnswerFormat
from tts.backends.base import Provider
from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.layers import Budget
from tts.mistakes import describe, first_mistake
from tts.origins import Origin
from tts.problem import Problem
from tts.prompts import check_template, variables
from tts.registry import mistake, nearest
from tts.strategy import Strategy
from tts.yaml_files import Marks, located, parse_yaml, read_text

__all__ = ["Pipeline", "describe", "read_text"]


class Pipeline(Frozen):
    """Everything a solve needs but the problem and the seed."""

    models: Annotated[dict[str, Provider], Field(min_length=1)]
    """Models by name; the first one plays every role that is not assigned. Where it is assigned
    another, and some model none, that is refused."""
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

    _marks: Marks = PrivateAttr(default_factory=dict)
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
    def _prompts_show_the_problem(self) -> Self:
        """Refuse a prompt that is the same for every problem, where the strategy's own is not."""
        asking = [self.strategy, *self.strategy.parts()]
        strategies = [part for part in asking if isinstance(part, Strategy)]
        for role, text in self.prompts.items():
            own = [found for each in strategies if (found := each.prompts().find(role)) is not None]
            shown = own and all("problem" in variables(found) for found in own)
            if shown and not variables(text):
                message = "it is the same for every problem: write {{ problem }} where that belongs"
                raise mistake(Pipeline, ("prompts", role), message, text)
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

    @model_validator(mode="after")
    def _roles_leave_no_model_without_one(self) -> Self:
        """Refuse to let the first model play a role for want of a word while another has none."""
        first, named = next(iter(self.models)), set(self.roles.values())
        idle = [name for name in self.models if name not in named]
        open_roles = [role for role in self.strategy.roles() if role not in self.roles]
        if idle and open_roles and first in named:
            played = next(role for role, name in self.roles.items() if name == first)
            message = (
                f"{open_roles[0]!r} is given to nobody: {first!r}, the first model, would play it "
                f"besides {played!r}, and {idle[0]!r} nothing; say which, {open_roles[0]}: MODEL"
            )
            raise mistake(Pipeline, ("roles",), message, self.roles)
        return self

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a pipeline file.

        Raises:
            ConfigError: With file, line and column, if the file cannot be read or is wrong.
        """
        text = read_text(path)
        values, marks = parse_yaml(text, str(path))
        try:
            pipeline = cls.model_validate(values)
        except ValidationError as error:
            raise first_mistake(error, str(path), marks, cls, values) from error
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

    def origin(self, strategy: Strategy | None = None) -> Origin:
        """Return all that decides what is sampled and how answers are read and counted.

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
            roles[role] = {
                "model": provider.identity(),
                "sampling": provider.sampling.model_dump(mode="json"),
                "prompt": prompts.find(role),
            }
        settings = asking.settings()
        settings.pop("stop", None)
        answer = self.answer.model_dump(mode="json")
        return Origin.of({"roles": roles, "strategy": settings, "answer": answer})

    def fingerprint(self) -> str:
        """Return the digest of `origin`."""
        return self.origin().fingerprint

    def mistake(self, message: str, *location: int | str) -> ConfigError:
        """Return an error that points at a place in the file this pipeline was read from."""
        return located(message, self._path, self._marks, location)
