"""Lists that models write: outlines, sub-problems with what they need, ratings.

Real models number, bullet, embolden, fence and comment as they please, or answer in JSON. What
cannot be read gives an empty list or None, never an error: the caller counts it and degrades.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

__all__ = ["Step", "items", "ordered", "rating", "steps"]

_NUMBERED = re.compile(
    r"""(?P<indent>[ \t]*) (?:\#+[ \t]*)? [*_]*
    (?: (?:step|outline|plan|approach|strategy|method|sub-?problem|path) [ \t]*\#?
        (?P<named>\d{1,3})\b [*_]* [ \t]* (?:[:.)–—-]|$)
      | \(?(?P<number>\d{1,3})[.):](?!\d) )
    [*_]* [ \t]*""",
    re.IGNORECASE | re.VERBOSE,
)
_BULLET = re.compile(r"(?P<indent>[ \t]*)[-*•+][ \t]+")
_NEEDS = re.compile(
    r"""[ \t]* (?: \[ [ \t]* (?:(?:needs|requires|depends[ ]on|uses)[ \t]*:?)?
        (?:\d[ ]?:?[ ]?(?:weak|strong|critical)|[\d ,;&-]|and|steps?|none)* \]
      | \( (?:needs|requires|depends[ ]on|uses) [ \t]*:?
        (?:\d[ ]?:?[ ]?(?:weak|strong|critical)|[\d ,;&-]|and|steps?|none)* \) )
    [ \t]* \.?$""",
    re.IGNORECASE | re.VERBOSE,
)
_NEED = re.compile(r"(\d{1,4})(?:[ ]?:?[ ]?(none|weak|strong|critical)\b)?", re.IGNORECASE)
_COUPLINGS = {"none": 0.0, "weak": 0.3, "strong": 0.7, "critical": 1.0}
_FENCE = re.compile(r"```[a-z]*\n(.*?)(?:```|$)", re.DOTALL | re.IGNORECASE)
_RANGE = re.compile(r"\b[01](?:\.\d+)?[ \t]*(?:to|and|[-–])[ \t]*(?:1(?:\.0+)?|10)\b(?![.\d%/])")
_RATING = re.compile(
    r"""(?<![\w.-])
    (?: (?P<share>\d+(?:\.\d+)?)[ \t]*%
      | (?P<over>\d+(?:\.\d+)?)[ \t]*/[ \t]*(?P<under>10{0,2})
      | (?P<plain>0?\.\d+|[01](?:\.\d+)?) )
    (?![\w%/]|\.\d)""",
    re.VERBOSE,
)
_ANNOUNCED = re.compile(r"(?::|\bis)[^\w\n]{0,4}\Z", re.IGNORECASE)
_MOST_OPENINGS = 32
_TEXT_KEYS = ("text", "outline", "step", "subproblem", "question", "title", "description")
_NEED_KEYS = ("needs", "requires", "depends_on", "dependencies", "deps")


class Step(NamedTuple):
    """A sub-problem.

    Attributes:
        text: What to find.
        needs: The places in the list, from 0, of those it needs; None if that is not said.
        couplings: How tightly, in [0, 1], beside the place; what is not said is left out.
    """

    text: str
    needs: tuple[int, ...] | None = None
    couplings: tuple[tuple[int, float], ...] = ()


_Needs: TypeAlias = tuple[tuple[int, float | None], ...]


class _Item(NamedTuple):
    label: int
    text: str
    needs: _Needs | None = None  # labels, each with its coupling


def items(text: str) -> list[str]:
    r"""Return the entries of a list, in its order; prose before and after it is left out.

    >>> items("Sure:\n\n1. **Work backward** from 12.\n2) Count pairs\n\nHope that helps!")
    ['Work backward from 12.', 'Count pairs']
    """
    return [item.text for item in _parsed(text)]


def steps(text: str) -> list[Step]:
    r"""Return sub-problems with what each needs, as `[1, 3]` or "(needs 1)" at their ends says.

    Numbers of no step, and a step's own, are left out. A need may say how tightly it couples:
    `[1 strong]` is .7, none 0, weak .3, critical 1 (AdaptOrch, arXiv:2602.16873).

    >>> [(step.text, step.needs) for step in steps("1. the total [2]\n2. apples in a box []")]
    [('the total', (1,)), ('apples in a box', ())]
    >>> steps("1. the total [2 strong]\n2. apples in a box []")[0].couplings
    ((1, 0.7),)
    """
    read = [_with_needs(item) for item in _parsed(text)]
    found = [item for item in read if item.text]
    place = {item.label: index for index, item in reversed(list(enumerate(found)))}
    return [_step(item, place, index) for index, item in enumerate(found)]


def ordered(plan: Sequence[Step]) -> list[Step]:
    """Return a plan in an order in which it can be worked, the step that the others serve last.

    Steps that say nothing of their needs stay as they are listed. Among steps that can be worked
    at the same time the first listed comes first; `needs` keep pointing into the given plan.

    Returns:
        The steps, or an empty list if some need each other in a circle.
    """
    if all(step.needs is None for step in plan):
        return list(plan)
    waiting, done = dict(enumerate(plan)), list[int]()
    while waiting:
        ready = [at for at, step in waiting.items() if not waiting.keys() & set(step.needs or ())]
        if not ready:
            return []
        done.append(ready[0])
        del waiting[ready[0]]
    needed = {need for step in plan for need in step.needs or ()}
    goals = [at for at in range(len(plan)) if at not in needed]
    backward = any(need > at for at, step in enumerate(plan) for need in step.needs or ())
    goal = goals[0] if backward else goals[-1]
    return [plan[at] for at in done if at != goal] + [plan[goal]]


def rating(text: str) -> float | None:
    """Return the rating that a text gives, in [0, 1]: `0.7`, `70%` or `7/10`; None without one.

    Of several different ones, such as those of a scale, it is the last after a colon or "is".

    >>> rating("On a scale from 0 to 1: **0.7**"), rating("7/10"), rating("very hard")
    (0.7, 0.7, None)
    >>> rating("Difficulty (0 = easy, 1 = hard): 0.6")
    0.6
    """
    bare = re.sub(r"\b0,(?=\d)", "0.", re.sub(r"[*_`$]", "", text))
    bare = _RANGE.sub(" ", bare)
    found = [(match.start(), _share(match)) for match in _RATING.finditer(bare)]
    values = [(start, value) for start, value in found if 0.0 <= value <= 1.0]
    if len({value for _, value in values}) > 1:
        values = [pair for pair in values if _ANNOUNCED.search(bare[: pair[0]])][-1:]
    return values[0][1] if values else None


def _share(match: re.Match[str]) -> float:
    if match["share"]:
        return float(match["share"]) / 100
    if match["over"]:
        return float(match["over"]) / max(1, int(match["under"]))
    return float(match["plain"])


def _parsed(text: str) -> list[_Item]:
    fenced = _FENCE.search(text)
    for source in [fenced[1], text] if fenced else [text]:
        found = (
            _from_json(source, r"^[ \t]*([\[{])")
            or _from_lines(source, _NUMBERED)
            or _from_lines(source, _BULLET)
            or _from_json(source, r"([\[{])")
        )
        if found:
            return found
    return []


def _from_lines(text: str, marker: re.Pattern[str]) -> list[_Item]:
    """Entries marked at the outermost depth; other lines go on with the entry above them."""
    lines = text.expandtabs(4).splitlines()
    marks = [marker.match(line) for line in lines]
    depths = [len(mark["indent"]) for mark in marks if mark]
    depth = min(depths, default=0) + 1
    entries: list[tuple[int, list[str]]] = []
    for line, mark in zip(lines, marks, strict=True):
        if mark and len(mark["indent"]) <= depth:
            groups = mark.groupdict()
            label = groups.get("named") or groups.get("number") or len(entries) + 1
            entries.append((int(label), [line[mark.end() :]]))
        elif entries:
            entries[-1][1].append(line)
    if entries:
        entries[-1] = (entries[-1][0], list(_until_prose(entries[-1][1])))
    cleaned = [_Item(label, _clean(" ".join(parts))) for label, parts in entries]
    return [item for item in cleaned if item.text]


def _until_prose(lines: Sequence[str]) -> Iterator[str]:
    """The last entry's lines, up to a paragraph that begins at the margin behind a blank line."""
    said = False
    for before, line in zip(("", *lines), lines, strict=False):
        begins = not before.strip() and line.strip() and not line[0].isspace()
        if said and begins and not _BULLET.match(line):
            return
        said = said or bool(line.strip())
        yield line


def _clean(text: str) -> str:
    return " ".join(re.sub(r"\*\*|__|`", "", text).split())


def _from_json(text: str, opening: str) -> list[_Item]:
    """Entries of the first JSON list of texts or objects, or of an object `{"step1": ...}`."""
    decoder = json.JSONDecoder()
    for opened in islice(re.finditer(opening, text, re.MULTILINE), _MOST_OPENINGS):
        try:
            value, _ = decoder.raw_decode(text, opened.start(1))
        except (ValueError, RecursionError):
            continue
        found = _entries(value)
        if found:
            return found
    return []


def _entries(value: object) -> list[_Item]:
    if isinstance(value, Mapping):
        lists = [each for each in value.values() if isinstance(each, list)]
        if len(value) == 1 and lists:
            return _entries(lists[0])
        value = list(value.values())
    if not isinstance(value, list):
        return []
    found = [_entry(number, each) for number, each in enumerate(value, 1)]
    return [item for item in found if item is not None and item.text] if all(found) else []


def _entry(number: int, value: object) -> _Item | None:
    if isinstance(value, str):
        return _Item(number, _clean(value))
    if not isinstance(value, Mapping):
        return None
    texts = [value[key] for key in _TEXT_KEYS if isinstance(value.get(key), str)]
    needs = next((value[key] for key in _NEED_KEYS if isinstance(value.get(key), list)), None)
    label = next(
        (value[key] for key in ("id", "number", "step") if type(value.get(key)) is int), number
    )
    labels = None if needs is None else tuple(filter(None, map(_json_need, needs)))
    return _Item(label, _clean(": ".join(texts[:2])), labels) if texts else None


def _json_need(value: object) -> tuple[int, float | None] | None:
    """Read a need that is a number, or an object `{"id": 1, "coupling": "strong"}`."""
    if type(value) is int:
        return value, None
    if not isinstance(value, Mapping) or type(value.get("id")) is not int:
        return None
    return value["id"], _COUPLINGS.get(str(value.get("coupling")).lower())


def _with_needs(item: _Item) -> _Item:
    said = _NEEDS.search(item.text)
    if said is None:
        return item
    needs = tuple(
        (int(number), _COUPLINGS.get(word.lower())) for number, word in _NEED.findall(said[0])
    )
    return _Item(item.label, item.text[: said.start()].strip(), needs)


def _step(item: _Item, place: Mapping[int, int], own: int) -> Step:
    if item.needs is None:
        return Step(item.text)
    found = [(place[each], how) for each, how in item.needs if place.get(each, own) != own]
    couplings = tuple((at, how) for at, how in found if how is not None)
    return Step(item.text, tuple(dict.fromkeys(at for at, _ in found)), couplings)
