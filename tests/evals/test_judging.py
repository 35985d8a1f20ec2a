"""What a row's verdict is where no answer was found."""

from __future__ import annotations

import pytest

from tts import Problem
from tts.evals.checkers import Checker
from tts.evals.checkers.exact import Exact
from tts.evals.checkers.regex import Regex
from tts.evals.solving import _Judge
from tts.evals.tasks import Example

EXAMPLE = Example(id="1", problem=Problem(text="?"), answer="42")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("checker", "text", "verdict"),
    [
        (Regex(within="text"), "so 42 it is", True),
        (Regex(within="text"), "so 43 it is", False),
        (Regex(within="text"), "", False),
        (Regex(), "so 42 it is", False),
        (Exact(), "42", False),
    ],
)
async def test_abstention_is_wrong_unless_the_text_is_judged(
    checker: Checker, text: str, verdict: bool
) -> None:
    assert await _Judge(checker, EXAMPLE).judge(None, text) == (verdict, None)
