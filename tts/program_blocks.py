"""Programs in the fenced blocks of a completion."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from textwrap import dedent
from typing import Final

__all__ = ["last_program"]

_FENCE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<told>[^`]*)")
_DEEPER: Final = 3
"""Columns by which a closing fence may stand deeper than its opening one; what stands deeper is
text of the program, as in a docstring."""
_MARKS: Final = range(3, 9)
"""Marks of a fence: more count as the most of these. A closing one has as many as the opening."""
_PYTHON: Final = re.compile(r"\{?\.?(?:python|py)[\d.]*(?![\w-])", re.IGNORECASE)
_DEFINES: Final = re.compile(r"[ \t]*(?:(?:async +)?def|class) ")


def last_program(text: str, wanted: str | None = None) -> str | None:
    r"""Return the last fenced block of Python, or of no language, that defines something.

    A block ends at the next fence of the same marks that stands no deeper, or hardly; one that is
    never closed is none.
    Blocks that define no function and no class, such as ones of output or usage, are passed over.
    What is indented as a whole is moved to the left. Takes linear time.

    Args:
        text: The completion.
        wanted: A regular expression; the last of these blocks in which it is found is taken, if
            there is one.

    >>> last_program("- So:\n  ```python\n  def f(x):\n      return x\n  ```\n")
    'def f(x):\n    return x'
    """
    programs = [block for block in _blocks(text) if any(map(_DEFINES.match, block.split("\n")))]
    if wanted is not None:
        looked_for = re.compile(wanted)
        for block in reversed(programs):
            if looked_for.search(block):
                return block
    return programs[-1] if programs else None


def _blocks(text: str) -> Iterator[str]:
    """Closed blocks of Python or no language, in order, without the indent that all lines share."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    fences = [_FENCE.fullmatch(line) for line in lines]
    ends = _ends(fences)
    place = 0
    while place < len(lines):
        fence, end = fences[place], ends.get(place)
        place += 1
        if fence is None or end is None:  # one that is never closed is a line like others
            continue
        start, place = place, end + 1
        if not fence["told"] or _PYTHON.match(fence["told"]):
            yield _moved(lines[start:end], fence["indent"])


def _ends(fences: Sequence[re.Match[str] | None]) -> dict[int, int]:
    """Return where each fence's block would end, by its line; those without an end are not there.

    From the last line to the first: of the closing fences that follow, only those are remembered
    that stand less deep than all nearer ones, the nearest last.
    """
    found: dict[int, int] = {}
    following: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for place in range(len(fences) - 1, -1, -1):
        fence = fences[place]
        if fence is None:
            continue
        mark, many = fence["marks"][0], min(len(fence["marks"]), _MARKS[-1])
        depth = len(fence["indent"].expandtabs(4))
        nearer = following[mark, many]
        at = bisect_right(nearer, depth + _DEEPER, key=itemgetter(0))
        if at:
            found[place] = nearer[at - 1][1]
        for least in range(_MARKS[0], many + 1) if not fence["told"] else ():
            others = following[mark, least]
            while others and others[-1][0] >= depth:
                others.pop()
            others.append((depth, place))
    return found


def _moved(lines: list[str], indent: str) -> str:
    inner = [line.removeprefix(indent) for line in lines]
    block = "\n".join(inner).strip("\n").rstrip()
    return dedent(block) if block[:1] in {" ", "\t"} else block
