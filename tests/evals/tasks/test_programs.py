"""How a program is cut out of a completion."""

from __future__ import annotations

import sys
from collections.abc import Callable
from textwrap import indent
from types import FrameType

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


@pytest.mark.parametrize(
    "text",
    [
        f"````markdown\n{BLOCK}\n````",
        f"````\nSo:\n{BLOCK}\nOutput:\n```\n1\n```\n````\nDone.\n```text\n1\n```",
        f"~~~~~~\n{BLOCK}\n~~~~~~",
        f"~~~\n{BLOCK}\n~~~",
        f"```markdown\n{BLOCK}\n```",
        f"```\n{BLOCK}\n```",
    ],
)
def test_a_block_that_holds_blocks_is_searched_within(text: str) -> None:
    assert PROGRAM.extract(text) == CODE


@pytest.mark.parametrize("block", [BLOCK, f"~~~python\n{CODE}\n~~~", f"~~~~\n{CODE}\n~~~~"])
@pytest.mark.parametrize("title", ["Plan\n~~~~", "The plan\n~~~~~~~~", "A\n~~~"])
def test_underlines_of_tildes_open_nothing(block: str, title: str) -> None:
    assert PROGRAM.extract(f"{title}\nfirst\n\n{block}\n\n{title}\nclass sizes\n") == CODE
    assert PROGRAM.extract(f"{title}\n{title}\n```bash\nls\n```\n{block}\n{title}") == CODE


FENCED = "Text:\n\n```\nf(1)\n```\n"


@pytest.mark.parametrize(
    "code",
    [
        f'def f(x):\n  """Doc.\n\n{indent(FENCED, "  ")}  """\n  return x',
        f"def f(x):\n   '''Doc.\n{indent(FENCED, '   ')}   '''\n   return x",
        f'SHOWN = """\n{FENCED}"""\ndef f(x):\n    return SHOWN',
        f'# it\'s """\ndef f(x):\n    a = "\\"\'\'\'"\n    b = \'"\'\n    """\n{FENCED}    """',
        'def f(x):\n    return x.split("""\n    ```\n""")',
        f'def f(x):\n    return """{FENCED}""", "a""""\n{FENCED}"""',
    ],
)
@pytest.mark.parametrize("marks", ["```", "~~~~", "`" * 12])
def test_fences_in_strings_end_nothing(code: str, marks: str) -> None:
    assert PROGRAM.extract(f"So:\n{marks}py\n{code}\n{marks}\nOutput:\n```\n1\n```\n") == code


@pytest.mark.parametrize("told", ["python", ""])
def test_a_string_that_is_not_closed_swallows_no_other_block(told: str) -> None:
    broken = f'```{told}\ndef f(x):\n    """Never closed\n    return 0\n```\n'
    good = f'```{told}\ndef f(x):\n    """Good."""\n    return x\n```\n'
    found = good.partition("\n")[2].removesuffix("\n```\n")
    assert PROGRAM.extract(f"{broken}Better:\n{good}") == found
    assert PROGRAM.extract(f'{broken}The `"""` is not closed. Better:\n{good}') == found
    if told:
        assert PROGRAM.extract(f"{broken}So:\n{broken}Better:\n{good}") == found


def test_long_fences_close_by_their_own_length() -> None:
    text = f"{'`' * 10}python\n{CODE}\n{'`' * 9}\n{BLOCK}\n"
    assert last_program(f"{'`' * 9}python\n{CODE}\n{'`' * 8}\n") is None
    assert last_program(f"{'~' * 99}python\n{CODE}\n{'~' * 100}\n") == CODE
    assert last_program(text) == CODE


def test_what_follows_tildes_may_hold_backticks() -> None:
    assert PROGRAM.extract(f"~~~python `x`\n{CODE}\n~~~") == CODE
    assert PROGRAM.extract(f"```python `x`\n{CODE}\n```") is None


def test_a_fence_that_opens_ends_a_block_that_was_never_closed() -> None:
    assert PROGRAM.extract(f"```python\ndef g(x):\n    return 0\n\nBetter:\n{BLOCK}") == CODE
    assert PROGRAM.extract(f"```bash\nls\n{BLOCK}\n```\ndef h(): ...\n```") == "def h(): ..."
    assert PROGRAM.extract(f"   ```python\n```\n{CODE}\n```") == CODE


@pytest.mark.parametrize("text", [CODE, f"```python\n{CODE}", "```bash\nls\n```", "```\n1\n```\n"])
def test_no_whole_block_with_a_function_is_an_abstention(text: str) -> None:
    assert PROGRAM.extract(text) is None


Y = '# """\nx\n"""\n'
"""In or out of a string before it, in one behind it."""


@pytest.mark.parametrize(
    "text",
    [
        lambda size: "```python\n" * size + "x\n" * size,
        lambda size: " ```\n```\n" * size,
        lambda size: "".join(f"{' ' * (at % 300)}```\n" for at in range(size)) + "~~~x\n" * size,
        lambda size: "".join(f"{'`' * (at % 90)}x\n" for at in range(size)) + "`" * 90,
        lambda size: f"````x\n~~~y\n{'```' * 2}\n" * size + "```\n" * size,
        lambda size: f"```python\n{Y}" * size + '"""\n```\n',
        lambda size: f"```\n{Y}" * size + '"""\n```\n',
        lambda size: f"~~~\n{Y}" * size + '"""\n~~~\n',
        lambda size: f"{BLOCK}\n" * size,
    ],
)
def test_the_work_grows_as_the_text(text: Callable[[int], str]) -> None:
    """Counted are calls and what those that look at more than a line are given."""
    once, twice = (_work(text(size)) for size in (500, 1000))
    assert once < twice < 2.2 * once


def _work(text: str) -> int:
    steps = 0

    def call(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}
        if event == "call":
            given = frame.f_locals.get("text") or frame.f_locals.get("lines") or ""
            name = frame.f_code.co_name
            steps += len(given) if name in {"_string_after", "_moved"} else 0

    sys.setprofile(call)
    try:
        last_program(text)
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.parametrize("mark", ["`", "~"])
def test_one_long_line_is_looked_at_once(mark: str) -> None:
    """A fence is read by methods of strings alone, so that nothing can be tried again."""
    assert last_program(f"{mark * 10**6}`\n{BLOCK}") == CODE
    assert last_program(f"{mark * 3}{' ' * 10**6}`\n{BLOCK}") == CODE


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


NAMES = st.sampled_from(["f", "solve", "is_prime"])
LINES = st.sampled_from(
    ["x = 1", "# it's", "s = 'a'", "s = \"'''\"", "if x:\n    y = 2", "", "t = {'a': '`'}"]
)
EXAMPLES = st.sampled_from(["```", "```python", "~~~~", "````text"])
PROSE = st.lists(
    st.sampled_from(["So:", "Plan\n~~~~", "It's so\n~~~~~~~", "- a", "", "class sizes"]), max_size=4
).map("\n".join)


@st.composite
def programs(draw: st.DrawFn) -> str:
    tab = draw(st.sampled_from(["  ", "   ", "    "]))
    body = draw(st.lists(LINES, max_size=4))
    if draw(st.booleans()):
        opened = draw(EXAMPLES)
        closed = opened.rstrip("pythonex")
        body.insert(0, f'"""Doc.\n\n{opened}\nf(1)\n{closed}\n"""')
    inner = indent("\n".join([*body, "return x"]), tab)
    return f"def {draw(NAMES)}(x):\n{inner}"


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, str]:
    """A program, and an answer in which it is wrapped."""
    program, mark = draw(programs()), draw(st.sampled_from("`~"))
    many, deep = draw(st.integers(3, 12)), " " * draw(st.integers(0, 3))
    told = draw(st.sampled_from(["python", " py", "", "{.python}"]))
    wrapped = indent(f"{mark * many}{told}\n{program}\n{mark * many}", deep)
    text = f"{draw(PROSE)}\n{wrapped}\n{draw(PROSE)}"
    if draw(st.booleans()):
        outer = draw(st.sampled_from("`~")) * draw(st.integers(13, 20))
        text = f"{outer}{draw(st.sampled_from(['', 'markdown']))}\n{text}\n{outer}"
        text = f"{draw(PROSE)}\n{text}\n{draw(PROSE)}"
    return program, text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@given(answers())
def test_the_program_found_is_the_one_that_was_wrapped(answer: tuple[str, str]) -> None:
    program, text = answer
    assert last_program(text) == program
