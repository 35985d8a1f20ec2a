"""Programs in the fenced blocks of a completion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import Final, NamedTuple

__all__ = ["last_program"]

_PYTHON: Final = re.compile(r"\{?\.?(?:python|py)[\d.]*(?![\w-])", re.IGNORECASE)
_DEFINES: Final = re.compile(r"[ \t]*(?:(?:async +)?def +\w+ *[(\[]|class +\w+ *[(\[:])")
_TOKEN: Final = re.compile(
    r"#[^\n]*"
    r"|(?P<quotes>\"\"\"|''')(?:[^\\\"']++|\\.?|(?!(?P=quotes))[\"'])*+(?:(?P=quotes)|(?P<never>\Z))"
    r"|\"(?:[^\\\"\n]|\\.)*\"?|'(?:[^\\'\n]|\\.)*'?",
    re.DOTALL,
)
"""Comments and strings. Nothing is tried twice, since each may end unclosed."""


class _Fence(NamedTuple):
    line: int
    indent: str
    mark: str
    marks: int
    told: str
    """What stands behind the marks, which is nothing where a fence closes."""


class _Ahead(NamedTuple):
    """What follows a place in a string: the next fence outside strings, and those in between."""

    fence: int | None
    paired: bool = True
    """They open and close in turn, as whole blocks in the string do."""
    closed: bool = False
    """The first of them closes, and the others open and close in turn."""


def last_program(text: str, wanted: str | None = None) -> str | None:
    r"""Return the last fenced block of Python, or of no language, that defines something.

    In a program, a fence can only stand in a string. So a block ends at the first fence outside its
    strings, whatever its indent; one that does not end there is none, but may hold others. Where
    strings are not closed, a block ends as in Markdown.
    Blocks that define no function and no class, such as ones of output or usage, are passed over.
    What is indented as a whole is moved to the left. Takes linear time (but for `wanted`).

    Args:
        text: The completion.
        wanted: A regular expression; the last of these blocks in which it is found is taken, if
            there is one.

    >>> last_program("- So:\n  ```python\n  def f(x):\n      return x\n  ```\n")
    'def f(x):\n    return x'
    """
    programs = list(_programs(text))
    if wanted is not None:
        looked_for = re.compile(wanted)
        for program in reversed(programs):
            if looked_for.search(program):
                return program
    return programs[-1] if programs else None


def _programs(text: str) -> Iterator[str]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    fences = [fence for at, line in enumerate(lines) if (fence := _fence(at, line))]
    ends = _ends(lines, fences)
    around: dict[str, list[int]] = {"`": [], "~": []}  # marks of open fences that begin no program
    place = 0
    while place < len(fences):
        fence, end = fences[place], ends[place]
        outer = around[fence.mark]
        place += 1
        other = bool(fence.told) and not _PYTHON.match(fence.told)
        if not fence.told and outer and outer[-1] <= fence.marks:
            outer.pop()
        elif end is not None and not other:
            program = _moved(lines[fence.line + 1 : fences[end].line], fence.indent)
            defines = any(map(_DEFINES.match, program.split("\n")))
            if defines:
                yield program
            doubtful = _is_bare(fence, "~") or fence.indent != fences[end].indent
            # An underline, or one that was forgotten: what ends it may begin a block.
            place = end if doubtful and not defines else end + 1
        elif _holds(fence, fences[place : place + 1]) and (other or _is_bare(fence, "`")):
            outer.append(fence.marks)


def _holds(fence: _Fence, following: Sequence[_Fence]) -> bool:
    """Whether a fence may hold what the next one begins, rather than have been left open."""
    return not any(inner.told and _as_long(inner, fence) for inner in following)


def _is_bare(fence: _Fence, mark: str) -> bool:
    return fence.mark == mark and not fence.told


def _as_long(fence: _Fence, other: _Fence) -> bool:
    return fence.mark == other.mark and fence.marks >= other.marks


def _fence(at: int, line: str) -> _Fence | None:
    begun = line.lstrip(" \t")
    mark = begun[:1]
    if mark not in {"`", "~"}:
        return None
    told = begun.lstrip(mark)
    marks = len(begun) - len(told)
    if marks < 3 or (mark == "`" and mark in told):
        return None
    return _Fence(at, line[: -len(begun)], mark, marks, told.strip(" \t"))


def _ends(lines: Sequence[str], fences: Sequence[_Fence]) -> list[int | None]:
    """Return the fence that ends the program that each fence would begin, if one does.

    From the last fence to the first, since what follows a fence depends only on the string in which
    it stands.
    """
    ends: list[int | None] = [None] * len(fences)
    closing: dict[tuple[str, int], int] = {}  # the next one that is long enough
    ahead = dict.fromkeys(("", '"""', "'''"), _Ahead(None))
    following = len(lines)
    for place in range(len(fences) - 1, -1, -1):
        fence = fences[place]
        inner = "\n".join([*lines[fence.line + 1 : following], ""])
        shown = closing.get((fence.mark, fence.marks))
        ends[place] = _end(fences, place, shown, ahead[_string_after(inner)])
        if not fence.told:
            closing.update({(fence.mark, marks): place for marks in range(3, fence.marks + 1)})
        begun = f"{lines[fence.line]}\n{inner}"
        after = {quotes: ahead[_string_after(begun, quotes)] for quotes in ahead if quotes}
        ahead = {"": _Ahead(place)}
        for quotes, (outside, paired, closed) in after.items():
            ahead[quotes] = _Ahead(outside, closed, paired and not fence.told)
        following = fence.line
    return ends


def _end(fences: Sequence[_Fence], place: int, shown: int | None, ahead: _Ahead) -> int | None:
    """Choose between the end that Markdown shows and the next fence outside strings.

    A string over the end that Markdown shows is one that was not closed, and goes on to the quotes
    of another block, unless it holds whole blocks, or that end is indented otherwise.
    """
    if shown is None or ahead.fence is None or ahead.fence == shown:
        return shown
    if ahead.fence < shown:
        return None
    fence, outside = fences[place], fences[ahead.fence]
    closes = not outside.told and _as_long(outside, fence)
    held = ahead.paired or fences[shown].indent != fence.indent
    return ahead.fence if closes and held else shown


def _string_after(text: str, quotes: str = "") -> str:
    """Return the triple quotes of the string in which a text ends, if it begins in `quotes`."""
    if '"""' not in text and "'''" not in text:
        return quotes
    for token in _TOKEN.finditer(quotes + text):
        if token["never"] is not None:
            return token["quotes"]
    return ""


def _moved(lines: list[str], indent: str) -> str:
    inner = [line.removeprefix(indent) for line in lines]
    block = "\n".join(inner).strip("\n").rstrip()
    return dedent(block) if block[:1] in {" ", "\t"} else block
