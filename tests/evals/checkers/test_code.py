"""Programs of models: what they may not do, and what is not held against them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from pydantic import ValidationError

from tts import ConfigError, Problem
from tts.evals.checkers import CheckFailed
from tts.evals.checkers.code import Code, allow_code_execution, code_checker
from tts.evals.tasks import Example

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Posix only"),
]
TEST = "assert f(2) == 4"


PRETENDED = """
import os
open("a", "w").close()
before = os.stat("a")
with open("a") as file:
    for name in ("a", file.fileno()):
        os.chmod(name, 0o400)
        os.utime(name, (1, 1))
        os.utime(name, ns=(2, 2))
assert os.stat("a") == before
"""


@pytest.fixture
def code() -> Iterator[Code]:
    with allow_code_execution():
        yield Code(cpu_seconds=1)


def example_of(test: str = TEST, before: str = "") -> Example:
    extra = {"before": before} if before else {}
    return Example(id="1", problem=Problem(text="?"), answer=test, extra=extra)


async def passes(code: Code, program: str, **given: str) -> bool:
    return await code.check(program, program, example_of(**given))


async def test_no_leave_no_checker() -> None:
    with pytest.raises(ValidationError, match="--allow-code-execution"):
        Code()
    with pytest.raises(ConfigError, match="--allow-code-execution"):
        code_checker()
    with allow_code_execution():
        assert Code() == code_checker()


async def test_what_stands_before_is_put_before(code: Code) -> None:
    assert await passes(code, "def f(x): return math.floor(x) ** 2", before="import math")


@pytest.mark.parametrize(
    "program",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "raise KeyboardInterrupt",
        "def f(x): return f(x)",
        "def f(x): return [0] * 10**10",
        "print('{\"passed\": true}')",
    ],
)
async def test_early_end_is_no_pass(code: Code, program: str) -> None:
    assert not await passes(code, program)


async def test_endless_loop_is_wrong_once_its_processor_time_is_used_up(code: Code) -> None:
    assert not await passes(code, "while True: pass")


async def test_program_that_only_waits_is_not_judged() -> None:
    with allow_code_execution():
        code = Code(seconds=1.5)
    with pytest.raises(CheckFailed, match=r"not done in 1\.5 seconds"):
        await passes(code, "import time; time.sleep(1000)")


@pytest.mark.parametrize(
    "forbidden",
    [
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.kill(os.getppid(), 9)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import ctypes; ctypes.CDLL(None)",
    ],
)
async def test_forbidden_acts_raise(code: Code, forbidden: str) -> None:
    tried = f"try:\n    {forbidden}\nexcept PermissionError:\n    def f(x): return x * x\n"
    assert await passes(code, tried)


@pytest.mark.parametrize(
    "program",
    [
        "if __name__ == '__main__':\n    int(input())",
        "if __name__ == '__main__':\n    import unittest; unittest.main()",
        "if __name__ == '__main__':\n    import sys; print(sys.argv[1])",
        "from __future__ import annotations",
        "import os; os.environ.setdefault('X', '1')",
        "import asyncio; asyncio.run(asyncio.sleep(0))",
        "import subprocess, multiprocessing, concurrent.futures",
        "import os; print('x', file=open(os.devnull, 'w'))",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\nA(1)",
        "class A: pass\nimport pickle; pickle.loads(pickle.dumps(A()))",
        "from concurrent.futures import ThreadPoolExecutor as T\nlist(T(4).map(abs, range(9)))",
        "import resource; resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))",
        "import random, uuid, secrets, time; uuid.uuid4(); time.sleep(0.001)",
        "def g(x: int): pass\nassert g.__annotations__ == {'x': int}",
    ],
)
async def test_right_programs_are_right(code: Code, program: str) -> None:
    before = 'import math\ndef f(x: float) -> float:\n    """Square."""\n'
    assert await passes(code, f"{program}\ndef f(x): return x * x", before=before)


async def test_program_has_a_folder_of_its_own_where_all_else_is_read_only(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    walls: list[str] = []
    monkeypatch.setattr("tts.evals.checkers.code._tell", walls.extend)
    used = """
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    os.mkdir(folder + "/a")
    with open(folder + "/a/b", "w") as file:
        file.write("text")
    os.rename(folder + "/a/b", folder + "/c")
    assert open(folder + "/c").read() == "text"
assert os.listdir(".") == []
def f(x): return x * x
"""
    assert await passes(code, used) is ({"read_only", "landlock"} <= set(walls))


async def test_what_the_reference_says_of_right_programs(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    walls: list[str] = []
    monkeypatch.setattr("tts.evals.checkers.code._tell", walls.extend)
    works = ["import os; os.urandom(3)"]
    refused = ["__file__", "import pydantic"]
    square = "\ndef f(x): return x * x"
    assert [await passes(code, each + square) for each in works] == [True]
    if {"read_only", "landlock", "seccomp", "hook"} <= set(walls):
        works = [
            "import shutil; open('a', 'w').close(); shutil.copyfile('a', 'b')",
            "import shutil; open('a', 'w').close(); shutil.copy('a', 'b'); open('b')",
            "import os, shutil; os.mkdir('a'); shutil.copytree('a', 'b'); os.listdir('b')",
            "from pathlib import Path; p = Path('a'); p.touch(); p.touch(); p.read_bytes()",
            PRETENDED,
        ]
        refused += [
            "open('/dev/urandom', 'rb')",
            "import os; open('a', 'w').close(); os.utime('a')",
            "import os; os.nice(0)",
            "import multiprocessing; multiprocessing.Lock()",
        ]
        assert [each for each in works if not await passes(code, each + square)] == []
    assert not any([await passes(code, each + square) for each in refused])


async def test_own_folder_is_small(code: Code) -> None:
    flood = "for i in range(99):\n    open(str(i), 'wb').write(bytes(1 << 20))\n"
    assert not await passes(code, f"{flood}def f(x): return x * x")


async def test_answer_may_go_on_where_the_given_text_ends(code: Code) -> None:
    assert await passes(code, "    return x * x", before="def f(x):")


async def test_main_block_of_the_test_runs(code: Code) -> None:
    test = "if __name__ == '__main__':\n    assert f(2) == 4"
    assert await passes(code, "def f(x): return x * x", test=test)
    assert not await passes(code, "def f(x): return x", test=test)


@pytest.mark.parametrize(
    "test",
    [
        "import sys; assert f(2) == 4; sys.exit()",
        "import sys; assert f(2) == 4; sys.exit(0)",
        "assert f(2) == 4; raise SystemExit(False)",
        "import sys; sys.exit(f(2) != 4)",
        """
import unittest
class Squares(unittest.TestCase):
    def test_two(self):
        self.assertEqual(f(2), 4)
if __name__ == "__main__":
    unittest.main()
""",
    ],
)
async def test_a_test_may_end_itself(code: Code, test: str) -> None:
    assert await passes(code, "def f(x): return x * x", test=test)
    for wrong in (
        "def f(x): return x",
        "import sys\ndef f(x): sys.exit(0)",
        "exec('import sys\\ndef f(x): sys.exit(0)')",
        "raise SystemExit(0)",
    ):
        assert not await passes(code, wrong, test=test), wrong


@pytest.mark.parametrize("end", ["1", "'no'", "0.0", "[]", "True"])
async def test_a_test_that_ends_with_an_error_is_no_pass(code: Code, end: str) -> None:
    assert not await passes(code, "def f(x): return x * x", test=f"raise SystemExit({end})")


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("\nassert ( ", "the test is no Python: line 2: '\\(' was never closed"),
        ("assert f(2)\x00", "the test is no Python: .*null bytes"),
        ("x = '\ud800'", "the test is no Python: .*surrogates"),
        ("(" * 10**4, "the test is no Python: .*too many nested parentheses"),
    ],
)
async def test_a_test_that_is_no_python_fails_the_check(code: Code, test: str, reason: str) -> None:
    for program in ("def f(x): return x * x", "not Python", ""):
        with pytest.raises(CheckFailed, match=reason):
            await passes(code, program, test=test)


async def test_warnings_of_a_test_s_compiler_are_not_held_against_it(code: Code) -> None:
    assert await passes(code, "def f(x): return x * x", test="assert f(2) is 4")


async def test_program_sees_no_variable_of_ours(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "secret")
    tried = "import os\nassert 'SECRET_KEY' not in os.environ\ndef f(x): return x * x"
    assert await passes(code, tried)


async def test_much_output_goes_nowhere(code: Code) -> None:
    assert await passes(code, "print('x' * 10**6)\ndef f(x): return x * x")


async def test_cancelled_check_leaves_no_process_and_no_folder(
    code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with anyio.move_on_after(0.05) as scope:
        await passes(code, "import time; time.sleep(1000)")
    assert scope.cancelled_caught
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240  # a look at an empty folder
    assert not [each for each in threading.enumerate() if each.name.startswith("tts")]


async def test_python_that_cannot_start_fails_the_check(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(CheckFailed, match="no process for the program: No such file"):
        await passes(code, "def f(x): return x * x")


async def test_process_that_ends_at_its_start_fails_the_check(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CheckFailed, match="ended at its start"):
        await passes(code, "def f(x): return x * x")
