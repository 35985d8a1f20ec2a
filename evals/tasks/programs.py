"""What the tasks share whose answers are programs."""

from __future__ import annotations

from typing import Final

from tts.answers import AnswerFormat

__all__ = ["IN_A_BLOCK", "PROGRAM"]

_CLOSE: Final = r"(?P=indent)```[ \t]*\r?(?:\n|\Z)"
_DEFINES: Final = r"[ \t]*(?:(?:async[ ]+)?def|class)[ ][^\n]*\n"
# Possessive: what is never closed is given up after one look, however often a reply repeats it.
_INNER: Final = rf"(?:(?!{_CLOSE})[^\n]*\n)*+"
_BEFORE: Final = rf"(?:(?!{_CLOSE}|{_DEFINES})[^\n]*\n)*+"
_PYTHON: Final = r"(?i:\{?\.?(?:python|py)[\d.]*(?![\w-])[^\n`]*)?\r?\n"
# From the first line on, so that what closes a block is never taken for what opens one. A block
# that defines nothing, such as one of output or usage, is passed over.
PROGRAM: Final = AnswerFormat(
    pattern=rf"\A(?:(?P<indent>[ \t]*)```[ \t]*"
    rf"(?:{_PYTHON}(?P<answer>{_BEFORE}{_DEFINES}{_INNER}){_CLOSE}|[^\n`]*\n{_INNER}{_CLOSE})"
    r"|[^\n]*\n|[^\n]+\Z)*"
)
"""The last fenced block of Python, or of no language, that defines a function or a class."""
IN_A_BLOCK: Final = "Give the whole function in one block between ```python and ```."
"""What a model is told of the form."""
