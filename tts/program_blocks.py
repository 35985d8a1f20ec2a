"""Programs in the fenced blocks of a completion."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from textwrap import dedent
from typing import Final

__all__ = ["last_program"]

_FENCE: Final = re.compile(r"(?P<indent>[ \t]*)```[ \t]*(?P<told>[^`]*)")
_PYTHON: Final = re.compile(r"\{?\.?(?:python|py)[\d.]*(?![\w-])", re.IGNORECASE)
_DEFINES: Final = re.compile(r"[ \t]*(?:(?:async +)?def|class) ")


def last_program(text: str, wanted: str | None = None) -> str | None:
    r"""Return the last fenced block of Python, or of no language, that defines something.

    A block ends at a fence that is indented as its first one; one that is never closed is none.
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
    closing: dict[str, list[int]] = defaultdict(list)
    for place, fence in enumerate(fences):
        if fence and not fence["told"]:
            closing[fence["indent"]].append(place)
    place = 0
    while place < len(lines):
        fence = fences[place]
        place += 1
        if fence is None:
            continue
        ends = closing[fence["indent"]]
        at = bisect_right(ends, place - 1)
        if at == len(ends):  # never closed: a line like others
            continue
        start, place = place, ends[at] + 1
        if not fence["told"] or _PYTHON.match(fence["told"]):
            yield _moved(lines[start : ends[at]], fence["indent"])


def _moved(lines: list[str], indent: str) -> str:
    inner = [line.removeprefix(indent) for line in lines]
    block = "\n".join(inner).strip("\n").rstrip()
    return dedent(block) if block[:1] in {" ", "\t"} else block
