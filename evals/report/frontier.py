"""Stopping rules replayed over samples that were drawn in full: what each would have cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tts.evals.records import Draw
from tts.evals.report.curves import Pool
from tts.evals.report.measures import told
from tts.evals.statistics import Interval, bootstrap
from tts.messages import Completion, Usage
from tts.problem import Candidate
from tts.stopping import Dominance, Never, StoppingRule
from tts.stopping.replay import Replayed, replay_all

__all__ = ["REPLAYED", "Point", "as_json", "frontier"]

REPLAYED: Final = 200
"""Problems that rules are replayed on: the first ones."""
_SETTINGS: Final = 5
"""Settings of a rule, of its ladder from the most cautious to the boldest."""


@dataclass(frozen=True, slots=True)
class Point:
    """A rule in one setting."""

    rule: str
    setting: str
    accuracy: Interval
    tokens: Interval
    """Prompt and completion tokens of what was sent, a problem."""
    samples: float
    rounds: float
    """Calls that wait for each other, a problem."""
    problems: int
    runs: int
    """Replays: one for each problem and seed."""


def frontier(drawn: Pool) -> list[Point]:
    """Replay the installed rules that judge answers alone, each in several settings.

    Intervals are over problems: seeds of one are no further evidence. Those of accuracy count two
    problems more, one wrong and one right, so that none collapses where all agree. A rule's line
    goes from cautious to bold. `never` draws all samples; `dominance` stops when what is left
    cannot change the vote.
    """
    rules = _rules()
    found: list[list[tuple[float, Replayed]]] = [[] for _ in rules]
    for draws in drawn.draws:
        right = {draw.key: bool(draw.right) for draw in draws}
        candidates = [_candidate(at, draw) for at, draw in enumerate(draws)]
        for place, one in enumerate(replay_all(rules, candidates, drawn.size)):
            found[place].append((float(right.get(one.key, False)), one))
    return [_point(rule, each, drawn.examples) for rule, each in zip(rules, found, strict=True)]


def _rules() -> list[StoppingRule]:
    rules: list[StoppingRule] = [Never(), Dominance()]
    for family in StoppingRule.survey()[0]:
        ladder = family.ladder()
        step = max(1, (len(ladder) - 1) // (_SETTINGS - 1))
        rules += [rule for rule in ladder[::step] if not rule.needs]
    return rules


def _candidate(ticket: int, draw: Draw) -> Candidate:
    # A replay counts completion tokens; here all of a draw's tokens are to count.
    usage = Usage(completion_tokens=draw.prompt_tokens + draw.completion_tokens)
    completion = Completion(text="", usage=usage, model="")
    return Candidate(ticket=ticket, completion=completion, answer=draw.key, score=draw.score)


def _point(
    rule: StoppingRule, outcomes: Sequence[tuple[float, Replayed]], examples: Sequence[str]
) -> Point:
    return Point(
        rule=rule.name,
        setting=_setting(rule.model_dump(mode="json", exclude_unset=True)),
        accuracy=bootstrap([right for right, _ in outcomes], examples, beside=(0.0, 1.0)),
        tokens=bootstrap([float(one.tokens) for _, one in outcomes], examples),
        samples=sum(one.launched for _, one in outcomes) / len(outcomes),
        rounds=sum(one.rounds for _, one in outcomes) / len(outcomes),
        problems=len(set(examples)),
        runs=len(outcomes),
    )


def _setting(changed: dict[str, Any]) -> str:
    """Return settings as a legend names them: `delta=0.01`; rules within a rule by name."""
    parts = (
        " or ".join(map(_inner, value)) if name == "rules" else f"{name}={value}"
        for name, value in changed.items()
    )
    return " ".join(parts)


def _inner(rule: dict[str, Any]) -> str:
    rest = _setting({name: value for name, value in rule.items() if name != "use"})
    return f"{rule['use']} {rest}".strip()


def as_json(point: Point) -> dict[str, Any]:
    """Return a point as JSON."""
    return {
        "rule": point.rule,
        "setting": point.setting,
        "accuracy": told(point.accuracy),
        "tokens": told(point.tokens),
        "samples": point.samples,
        "rounds": point.rounds,
        "problems": point.problems,
        "runs": point.runs,
    }
