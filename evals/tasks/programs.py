"""What the tasks share whose answers are programs."""

from __future__ import annotations

from typing import Final

from tts.answers import AnswerFormat

__all__ = ["IN_A_BLOCK", "PROGRAM"]

PROGRAM: Final = AnswerFormat(pattern=r"(?s)```(?:[Pp]ython3?|py)?[ \t]*\n(?P<answer>.*?)```")
"""The last fenced block of a completion; one without is an abstention."""
IN_A_BLOCK: Final = "Give the whole function in one block between ```python and ```."
"""What a model is told of the form."""
