"""What a function's docstring says: of itself, and of its parameters in any of the usual styles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

__all__ = ["described", "summary"]

_SECTION = re.compile(r"(?:Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments):?\s*\Z")
_UNDERLINE = re.compile(r"-{3,}\s*\Z")
_GOOGLE = re.compile(
    r"(?P<names>\*{0,2}\w+)\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*:(?P<text>.*)"
)
_NUMPY = re.compile(r"(?P<names>\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?\Z")
_FIELD = re.compile(
    r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?(?P<names>\w+)\s*:(?P<text>.*)"
)


def summary(text: str) -> str:
    r"""Return the first paragraph in one line.

    >>> summary("Return a height\nin metres.\n\nMore.")
    'Return a height in metres.'
    """
    lines = (line.strip() for line in text.strip().splitlines())
    return " ".join(takewhile(lambda line: line and not _begins(line), lines))


def described(text: str) -> dict[str, str]:
    r"""Return what a docstring says of each parameter, in one line each.

    Google's sections (`Args:`), NumPy's (`Parameters` underlined) and Sphinx's fields (`:param x:`)
    are read; what is written otherwise is left out.

    Args:
        text: The docstring, its common indentation taken away.

    >>> described("Find.\n\nArgs:\n    query: What to\n        look for.\n    k (int): How many.")
    {'query': 'What to look for.', 'k': 'How many.'}
    """
    lines = text.expandtabs(4).splitlines()
    found: dict[str, str] = {}
    for at, line in enumerate(lines):
        rest = lines[at + 1 :]
        if _SECTION.match(line.strip()):
            is_numpy = bool(rest) and bool(_UNDERLINE.match(rest[0].strip()))
            if is_numpy or line.rstrip().endswith(":"):
                found |= _entries(rest[is_numpy:], _NUMPY if is_numpy else _GOOGLE, _depth(line))
        elif field := _FIELD.match(line.strip()):
            more = list(_deeper(rest, _depth(line)))
            found[field["names"]] = _joined([field["text"], *more])
    return {name: said for name, said in found.items() if said}


def _begins(line: str) -> bool:
    """Return whether a line begins what is said of the parameters."""
    return bool(_FIELD.match(line)) or (line.endswith(":") and bool(_SECTION.match(line)))


def _entries(lines: Sequence[str], entry: re.Pattern[str], outer: int) -> dict[str, str]:
    """Return the entries of a section, which ends with a line that is out of it."""
    found: dict[str, str] = {}
    depth = next((_depth(line) for line in lines if line.strip()), 0)
    if entry is _GOOGLE and depth <= outer:
        return {}
    for at, line in enumerate(lines):
        if not line.strip() or _depth(line) > depth:
            continue
        read = entry.fullmatch(line.strip())
        if read is None or _depth(line) < depth or _begins_section(lines[at : at + 2]):
            break
        said = [read.groupdict().get("text") or "", *_deeper(lines[at + 1 :], depth)]
        for name in re.split(r"\s*,\s*", read["names"]):
            found[name.lstrip("*")] = _joined(said)
    return found


def _begins_section(lines: Sequence[str]) -> bool:
    return len(lines) > 1 and bool(_UNDERLINE.match(lines[1].strip()))


def _deeper(lines: Sequence[str], depth: int) -> Iterator[str]:
    """Yield the lines that go on with an entry."""
    for line in lines:
        if line.strip() and _depth(line) <= depth:
            return
        yield line


def _joined(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
