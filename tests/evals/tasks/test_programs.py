"""How a program is cut out of a completion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.evals.tasks.programs import defined_for, program_with
from tts.program_blocks import last_program

PROGRAM = program_with(None)
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


@pytest.mark.parametrize(
    "text",
    [
        f"1. Draft:\n   ```python\n   def f(x):\n       return 0\n```\n2. Final:\n{BLOCK}\n",
        "  ```python\n  def f(x):\n      return x\n```",
        f"````python\n{CODE}\n````",
        f"````\n```\n````\n{BLOCK}",
        f"~~~python\n{CODE}\n~~~",
        f"```python\n{CODE}\n  ```",
    ],
)
def test_fences_close_as_markdown_says(text: str) -> None:
    assert PROGRAM.extract(text) == CODE


@pytest.mark.parametrize("text", [CODE, f"```python\n{CODE}", "```bash\nls\n```", "```\n1\n```\n"])
def test_no_whole_block_with_a_function_is_an_abstention(text: str) -> None:
    assert PROGRAM.extract(text) is None


def test_long_texts_are_soon_read() -> None:
    """With a look to the end from each fence, this would take hours."""
    assert PROGRAM.extract("```python\n" * 10**5 + "x\n" * 10**5) is None
    assert PROGRAM.extract(" ```\n```\n" * 10**5) is None
    steps = "".join(f"{' ' * (n % 300)}```\n" for n in range(10**5))
    assert PROGRAM.extract(steps + "~~~x\n" * 10**5) is None
    assert PROGRAM.extract(f"{BLOCK}\n" * 10**4) == CODE


OTHER = "```python\ndef g(x):\n    return 1\n```"


@pytest.mark.parametrize(
    "text",
    [
        f"{BLOCK}\nUsage:\n{OTHER}",
        f"{OTHER}\n{BLOCK}\n{OTHER}\n",
        f"```python\ndef f(x): return 0\n```\n{BLOCK}\n```python\nclass T:\n    def f(x): ...\n```",
        f"{BLOCK}\n```python\nimport unittest\n\nclass F(unittest.TestCase):\n    f = 1\n```",
        f"{BLOCK}\n```python\ndef f_test(x):\n    assert f(1)\n```",
    ],
)
def test_the_last_block_with_the_entry_point_wins(text: str) -> None:
    assert program_with("f").extract(text) == CODE
    assert PROGRAM.extract(text) != CODE


def test_where_no_block_has_the_entry_point_the_last_program_is_taken() -> None:
    assert program_with("h").extract(f"{BLOCK}\n{OTHER}") == OTHER[10:-4]
    assert program_with("h").extract("```python\nh(1)\n```") is None
    for definition in ("async def h(x):", "class h:", "def h(x):"):
        text = f"```python\n{definition} ...\n```\n{BLOCK}"
        assert program_with("h").extract(text) == f"{definition} ..."


WHOLE = "import math\n\n\ndef f(x):\n\n    return x\n\nclass A:\n    pass"


@pytest.mark.parametrize("indent", ["  ", "    ", "\t", "   "])
@pytest.mark.parametrize("more", ["", "  "])
def test_a_block_that_is_indented_as_a_whole_is_moved_to_the_left(indent: str, more: str) -> None:
    inner = "\n".join(f"{indent}{more}{line}" if line else "" for line in WHOLE.split("\n"))
    text = f"1. So:\n\n{indent}```python\n{inner}\n{indent}```\n2. Done."
    assert PROGRAM.extract(text) == program_with("f").extract(text) == WHOLE
    assert PROGRAM.extract(text.replace("\n", "\r\n")) == WHOLE


def test_text_of_a_string_may_stand_further_left() -> None:
    code = 'def f(x):\n    return """\nleft\n"""'
    inner = '  def f(x):\n      return """\nleft\n  """'
    assert PROGRAM.extract(f"```python\n{code}\n```") == code
    assert PROGRAM.extract(f"  ```python\n{inner}\n  ```") == code


@given(st.text(alphabet="`\n\t pydefclass:x", max_size=80), st.sampled_from([None, "def"]))
def test_what_is_found_stands_in_the_text_line_by_line(text: str, wanted: str | None) -> None:
    found = last_program(text, wanted)
    if found is not None:
        lines = [line.strip() for line in text.split("\n")]
        assert all(line.strip() in lines for line in found.split("\n"))
        assert text.count("```") >= 2


def test_the_entry_point_of_a_test_is_what_the_solution_defines() -> None:
    assert defined_for("def a(): ...\nclass B: ...", "assert len(B().c) == 1") == "B"
    assert defined_for("a = 1", "assert a == 1") is None
    assert defined_for("def a(:", "a()") is None


def test_a_reply_that_opens_block_after_block_is_read_at_once() -> None:
    """With backtracking into blocks that nothing closes, this took the cube of their number."""
    whole = "```python\ndef f():\n    return 1\n```\n"
    assert PROGRAM.extract(whole + "```python\ndef g():\n" * 400) is not None
