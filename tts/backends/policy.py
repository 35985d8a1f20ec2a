"""How a model's calls are carried: the settings of the layers between a run and a backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tts.frozen import Frozen

__all__ = ["Cache", "Hedge", "Limits", "Retry"]


class Limits(Frozen):
    """What the provider of a model allows.

    Set the quotas a little below the provider's own (nine tenths): its clock is not ours.
    """

    rpm: Annotated[int, Field(ge=1)] | None = None
    """Requests a minute; null is no limit."""
    tpm: Annotated[int, Field(ge=1)] | None = None
    """Tokens a minute, of prompts and completions together; null is no limit. A call takes its
    prompt and `max_tokens` and gives back what it did not use."""
    burst: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Part of a minute's quota that may go at once, at the start too."""
    concurrency: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Most calls in flight at once; null takes the model's `concurrency`; `auto` finds out how
    many the provider bears, up to the model's `concurrency`."""


class Retry(Frozen):
    """When a failed call is sent again: by the error's kind, never after text was passed on."""

    attempts: Annotated[int, Field(ge=1)] = 5
    """Most times that a call is sent; 1 is never again."""
    first_wait: Annotated[float, Field(ge=0.0)] = 0.5
    """Seconds that the first wait may last at most; doubled each time. The wait is drawn evenly
    between 0 and that."""
    longest_wait: Annotated[float, Field(ge=0.0)] = 30.0
    """Seconds at which the doubling ends."""
    patience: Annotated[float, Field(ge=0.0)] = 90.0
    """Longest wait in seconds that a provider may ask for; if it asks for more, the call fails."""
    budget: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Calls sent again, as a part of all calls, once each of the `concurrency` calls in flight was
    sent again once. Waits that the provider itself asks for do not count."""


class Hedge(Frozen):
    """When a call is sent twice: if its first token is late. The slower copy is cancelled.

    Needs a model that streams, and costs the tokens that the slower copy has used.
    """

    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    """A call is late when this part of the recent calls had their first token sooner."""
    extra: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    """Calls that may be sent twice, as a part of all calls."""
    warm_up: Annotated[int, Field(ge=2)] = 20
    """Calls to learn from before the first is sent twice."""
    window: Annotated[int, Field(ge=2)] = 200
    """Recent calls that the quantile is taken of."""


class Cache(Frozen):
    """Where answers are kept: one SQLite file, which several processes may share.

    An answer is found again by everything it depends on, the seed of its draw included.
    """

    path: Path | None = None
    """The file; null is `tts/calls.sqlite` in the user's cache folder."""
    max_megabytes: Annotated[float, Field(gt=0.0)] = 1024.0
    """When the answers are larger, the oldest are removed."""
    max_days: Annotated[float, Field(gt=0.0)] = 30.0
    """Answers that are older are not used."""
