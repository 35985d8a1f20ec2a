"""How a program is cut out of a completion."""

from __future__ import annotations

import pytest

from tts.evals.tasks.programs import PROGRAM

CODE = "def f(x):\n    return x"
BLOCK = f"```python\n{CODE}\n```"


@pytest.mark.parametrize(
    "text",
    [
        f"Install:\n```bash\npip install x\n```\nThen:\n{BLOCK}\n",
        f"```text\nin: 1\n```\nCode:\n{BLOCK}",
        f"{BLOCK}\nUsage:\n```python\nprint(f(1))\n```",
        f"{BLOCK}\nOutput:\n```\n1\n```",
        f"{BLOCK}\nOutput:\n```text\n1\n```\nDone.",
        f"``` python\n{CODE}\n```",
        f"```PYTHON\n{CODE}\n```",
        f'```python title="a.py"\n{CODE}\n```',
        f"```python\r\n{CODE}\r\n```\r\n",
        f"```\n{CODE}\n```",
        f"```python\ndef f(x):\n    return 0\n```\nBetter:\n{BLOCK}",
    ],
)
def test_program_is_the_last_block_that_defines_something(text: str) -> None:
    assert PROGRAM.extract(text) == CODE


def test_fence_within_a_docstring_ends_nothing() -> None:
    code = "def f(x):\n    '''doc\n    ```\n    ex\n    ```\n    '''\n    return x"
    assert PROGRAM.extract(f"```python\n{code}\n```") == code


@pytest.mark.parametrize("text", [CODE, f"```python\n{CODE}", "```bash\nls\n```", "```\n1\n```\n"])
def test_no_whole_block_with_a_function_is_an_abstention(text: str) -> None:
    assert PROGRAM.extract(text) is None


def test_long_texts_are_soon_read() -> None:
    assert PROGRAM.extract("```python\n" * 300 + "x\n" * 2000) is None


def test_a_reply_that_opens_block_after_block_is_read_at_once() -> None:
    """With backtracking into blocks that nothing closes, this took the cube of their number."""
    whole = "```python\ndef f():\n    return 1\n```\n"
    assert PROGRAM.extract(whole + "```python\ndef g():\n" * 400) is not None
