"""What the tasks share whose answers are programs."""

from __future__ import annotations

import ast
import re
from typing import Final

from tts.answers import AnswerFormat

__all__ = ["IN_A_BLOCK", "defined_for", "program_with"]

IN_A_BLOCK: Final = "Give the whole function in one block between ```python and ```."
"""What a model is told of the form."""


def program_with(function: str | None) -> AnswerFormat:
    """Return how a program is found: in the last block that defines a function, at its top level.

    Where none does, it is the last block that defines anything.

    Args:
        function: The entry point; None where it is not known.
    """
    if function is None:
        return AnswerFormat(kind="program")
    name = re.escape(function)
    return AnswerFormat(kind="program", pattern=rf"(?m)^(?:(?:async +)?def|class) +{name}\b")


def defined_for(solution: str, test: str) -> str | None:
    r"""Return the first function or class of a solution that a test names; None if there is none.

    >>> defined_for("def a(): pass\ndef b(): return a()", "assert set(b()) == {1}")
    'b'
    """
    try:
        defined, tested = ast.parse(solution), ast.parse(test)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    named = {node.id for node in ast.walk(tested) if isinstance(node, ast.Name)}
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = (node.name for node in defined.body if isinstance(node, kinds))
    return next((name for name in found if name in named), None)
