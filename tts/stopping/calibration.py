"""Certify a rule on recorded problems: replay a ladder of settings, test each, keep the best."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from tts.answers import equivalent
from tts.canonical import canonical
from tts.errors import ConfigError, NotCertifiable
from tts.frozen import Frozen
from tts.origins import Origin
from tts.problem import Candidate
from tts.stopping.base import StoppingRule, promise
from tts.stopping.replay import Replayed, replay_all
from tts.stopping.risk import Certificate, certify
from tts.votes import Tally, Vote

__all__ = ["Calibration", "Point", "Recording", "Target", "calibrate", "tokens_of"]

_Share = Annotated[float, Field(gt=0.0, lt=1.0)]
_TARGET = re.compile(r"\s*(disagreement|error)\s*<=\s*([0-9.eE+-]+)\s*")


class Target(Frozen):
    """What is to be certified."""

    kind: Literal["disagreement", "error"]
    """`disagreement` with the vote over all samples, or `error` against the given answers."""
    level: _Share
    """Share of problems that may fail."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the target that a text like `disagreement<=0.01` names.

        Raises:
            ConfigError: If it names none.
        """
        match = _TARGET.fullmatch(text)
        try:
            if match:
                return cls.model_validate({"kind": match[1], "level": float(match[2])})
        except ValueError:
            pass
        raise ConfigError(f"{text!r} is no target: disagreement<=LEVEL or error<=LEVEL, in (0, 1)")

    def __str__(self) -> str:
        return f"{self.kind}<={self.level:g}"


class Point(Frozen):
    """One setting of the ladder on the calibration problems."""

    rule: StoppingRule
    failures: int
    """Problems on which it failed."""
    bound: float
    """Upper confidence bound on its risk, for this setting alone."""
    certified: bool
    """True if the procedure certifies it."""
    samples: float
    """Mean samples consumed, over all problems, those without an answer included."""
    tokens: float
    """Mean completion tokens sent for, likewise."""
    rounds: float
    """Mean calls on the longest chain, likewise."""


class Calibration(Frozen):
    """A certified rule with all that it rests on; the file of `tts calibrate`."""

    version: Literal[3] = 3
    rule: StoppingRule
    """The certified rule that saves most tokens."""
    target: Target
    delta: _Share
    """Chance, over calibration sets, that the certificate is false."""
    n: Annotated[int, Field(ge=1)]
    """Problems that it rests on: for `disagreement` those whose full vote has an answer."""
    effective_n: float
    """Independent problems: each question counts once, however many samples it has."""
    samples: Annotated[int, Field(ge=1)]
    """Samples of the full vote."""
    saved: float
    """Share of the full vote's completion tokens that the rule saved."""
    curve: tuple[Point, ...]
    """All settings, the most cautious first."""
    unanswered: Annotated[int, Field(ge=0)] = 0
    """Problems whose full vote has no answer: left out of `n` for `disagreement`, failures for
    `error`."""
    abstentions: Annotated[int, Field(ge=0)] = 0
    """Samples without an answer or a weight, over all problems."""
    drawn: Annotated[int, Field(ge=0)] = 0
    """All samples; those that failed are none."""
    used: tuple[int, ...] = ()
    """Candidates that the rule drew on each problem; later problems are compared with them."""
    lengths: tuple[int, ...] = ()
    """Completion tokens of those candidates; likewise."""
    origin: Origin = Origin.model_construct()
    """What the pipeline it was made for samples with."""
    models: tuple[str, ...] = ()
    """Models it was made with."""
    data: str = ""
    """Digest of the problems."""
    made: str = ""
    """Date, in UTC."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a calibration file.

        Raises:
            ConfigError: If it cannot be read, or is none.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read: {error.strerror}", path=str(path)) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigError(
                f"no calibration file of this version: {where}: {first['msg']}; make it anew with "
                "tts calibrate",
                path=str(path),
            ) from error

    def dump(self) -> str:
        """Return the file's text."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"

    @property
    def guarantee(self) -> str:
        """What is promised of a problem drawn like the calibration problems."""
        same = "same answer as the full vote, where that has one"
        claim = "right answer" if self.target.kind == "error" else same
        return promise(
            f"{claim} (full: {self.samples} samples)",
            kind=self.target.kind,
            level=f"<= {self.target.level:g} with chance {1 - self.delta:g} over calibration sets",
            unit="question",
            n=self.n,
            effective_n=self.effective_n,
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """One problem sampled in full.

    Attributes:
        candidates: What was drawn.
        truth: The right answer, if it is known.
    """

    candidates: tuple[Candidate, ...]
    truth: str | None = None


def calibrate(
    ladder: Sequence[StoppingRule],
    recordings: Sequence[Recording],
    n: int,
    *,
    target: Target,
    delta: float,
    vote: Vote | None = None,
) -> Calibration:
    """Return the rule of the ladder that saves most among those that are certified.

    Learn then test, from the ladder's start until a setting is not certified, by the exact binomial
    p-value. With chance 1 - delta over sets of independent problems, all certified settings keep
    the target on problems of their kind: `disagreement` on those whose full vote has an answer.

    Args:
        ladder: Settings, the most cautious first, fixed before these problems were seen.
        recordings: One each problem, sampled in full.
        n: Samples in full.
        target: What is to be certified.
        delta: Chance of a false certificate, in (0, 1).
        vote: How candidates weigh.

    Raises:
        ConfigError: If there is nothing to calibrate, or there are no answers to compare with.
        NotCertifiable: If no setting is certified; it says what these data would certify.
    """
    _check(ladder, recordings, target)
    runs = _replayed(ladder, recordings, n, vote)
    tallies = [_tally(one, vote) for one in recordings]
    certificate = _certified(runs, _wanted(recordings, tallies, target), target, delta)
    curve = _curve(ladder, runs, certificate)
    best = min((point for point in curve if point.certified), key=lambda point: point.tokens)
    consumed = _consumed(runs[curve.index(best)], recordings)
    return Calibration(
        rule=best.rule,
        target=target,
        delta=delta,
        n=certificate.n,
        effective_n=float(certificate.n),
        samples=n,
        saved=_saved(best, recordings),
        curve=curve,
        unanswered=sum(tally.leader is None for tally in tallies),
        abstentions=sum(tally.abstentions for tally in tallies),
        drawn=sum(len(one.candidates) for one in recordings),
        used=tuple(map(len, consumed)),
        lengths=tuple(map(tokens_of, consumed)),
        made=datetime.now(UTC).date().isoformat(),
    )


def _replayed(
    ladder: Sequence[StoppingRule], recordings: Sequence[Recording], n: int, vote: Vote | None
) -> list[list[Replayed]]:
    """Return for each setting what it would have done on each problem."""
    replays = [replay_all(ladder, one.candidates, n, vote=vote) for one in recordings]
    return [list(row) for row in zip(*replays, strict=True)]


def _saved(best: Point, recordings: Sequence[Recording]) -> float:
    full = sum(tokens_of(one.candidates) for one in recordings) / len(recordings)
    return 1.0 - best.tokens / full if full else 0.0


def _consumed(runs: Sequence[Replayed], recordings: Sequence[Recording]) -> list[list[Candidate]]:
    pairs = zip(runs, recordings, strict=True)
    return [[one for one in each.candidates if one.ticket < run.samples] for run, each in pairs]


def _check(ladder: Sequence[StoppingRule], recordings: Sequence[Recording], target: Target) -> None:
    if not ladder:
        raise ConfigError("this rule has no settings to calibrate")
    if not recordings:
        raise ConfigError("there are no problems to calibrate on")
    if target.kind == "error" and any(recording.truth is None for recording in recordings):
        raise ConfigError(f"the target {target} needs the right answer of every problem")


def _tally(recording: Recording, vote: Vote | None) -> Tally:
    return Tally.of(sorted(recording.candidates, key=lambda candidate: candidate.ticket), vote)


def _wanted(
    recordings: Sequence[Recording], tallies: Sequence[Tally], target: Target
) -> list[str | None]:
    """Return the answer that each problem should have; None where there is none to agree with."""
    if target.kind == "error":
        return [canonical(recording.truth or "") for recording in recordings]
    leaders = [tally.leader for tally in tallies]
    return [leader.group if leader else None for leader in leaders]


def _certified(
    runs: Sequence[Sequence[Replayed]], wanted: Sequence[str | None], target: Target, delta: float
) -> Certificate:
    """Test on the problems that have an answer to compare with, and count no silence as agreement.

    Which these are depends on no setting: they stay independent draws, of such problems.
    """
    losses = [
        [_fails(run.key, key) for run, key in zip(row, wanted, strict=True) if key is not None]
        for row in runs
    ]
    left_out = wanted.count(None)
    if left_out == len(wanted):
        raise ConfigError(
            f"no sample of these {left_out} problems has an answer, so there is no vote to agree "
            "with: see what the model writes, and raise max_tokens or set the answer format"
        )
    try:
        return certify(losses, target.level, delta)
    except NotCertifiable as error:
        if not left_out:
            raise
        reason = f"{error.reason} ({left_out} more have no answer in any sample, and do not count)"
        raise NotCertifiable(reason, level=error.level, needed=error.needed) from error


def _fails(key: str | None, wanted: str) -> bool:
    return key is None or not equivalent(key, wanted)


def _curve(
    ladder: Sequence[StoppingRule], runs: list[list[Replayed]], certificate: Certificate
) -> tuple[Point, ...]:
    def mean(values: list[int]) -> float:
        return sum(values) / len(values)

    return tuple(
        Point(
            rule=rule,
            failures=certificate.bounds[place][0],
            bound=certificate.bounds[place][1],
            certified=place in certificate.certified,
            samples=mean([run.samples for run in row]),
            tokens=mean([run.tokens for run in row]),
            rounds=mean([run.rounds for run in row]),
        )
        for place, (rule, row) in enumerate(zip(ladder, runs, strict=True))
    )


def tokens_of(candidates: Iterable[Candidate]) -> int:
    """Return the completion tokens of candidates: what they say, not what it took to get them."""
    return sum(one.completion.usage.completion_tokens for one in candidates)
