"""Calls of functions, compared with those that would have been right."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tts.evals.checkers.base import Checker, CheckFailed

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["FunctionCalls", "calls_in", "first_right"]

Call: TypeAlias = tuple[str, dict[str, Any]]

_LONGEST: Final = 20_000
_JSON_NAMES: Final = {"true": True, "false": False, "null": None}
_DRESSING: Final = re.compile(r"[ ,./\-_*^'\"]")


class FunctionCalls(Checker, name="function_calls"):
    """The calls that were expected, in any order, with allowed arguments and no others.

    The right answer is JSON: a list of `{name: {parameter: [allowed values]}}`, where `""` among
    the values says that the parameter may be left out. Answers are Python calls with keywords, a
    list of them or one a line, or JSON: `[{"name": ..., "arguments": {...}}]`. Nothing is called.

    Texts are compared without case, blanks and `,./-_*^` and quotes; a whole number counts where
    the same decimal one is allowed, and the other way round.

    Source: the syntax-tree check of the Berkeley Function-Calling Leaderboard, whose rule that a
    decimal number is wrong where a whole one is expected is left out.
    """

    reads_text = False

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that is not in the form above."""
        try:
            _expected(example.answer)
        except CheckFailed as error:
            return f"{error}; it is JSON: [{{name: {{parameter: [allowed values]}}}}]"
        return None

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the calls.

        Raises:
            CheckFailed: If the right answer is not in the form above.
        """
        expected = _expected(example.answer)
        made = None if answer is None else calls_in(answer)
        if made is None or len(made) != len(expected):
            return False
        fits = [[_fits(call, wanted) for wanted in expected] for call in made]
        return _all_placed(fits)


def calls_in(answer: str) -> list[Call] | None:
    """Return the calls that a text makes, or None if it is not made of calls.

    >>> calls_in("[a.b(x=1), c()]")
    [('a.b', {'x': 1}), ('c', {})]
    """
    answer = answer.strip().removeprefix("```python").removeprefix("```json").strip("`\n ")
    if len(answer) > _LONGEST:
        return None
    try:
        return _from_json(json.loads(answer))
    except (ValueError, RecursionError):
        pass
    try:
        return [_call(node) for node in _nodes(ast.parse(answer))]
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError):
        return None


def first_right(answer: str) -> str:
    """Return calls that a right answer, in the form that the checker reads, allows.

    Raises:
        CheckFailed: If it is not in that form.
    """
    calls = []
    for name, allowed in _expected(answer):
        given = {key: values[0] for key, values in allowed.items() if values[0] != ""}
        shown = ", ".join(f"{key}={_example(value)!r}" for key, value in given.items())
        calls.append(f"{name}({shown})")
    return "[" + ", ".join(calls) + "]"


def _example(value: Any) -> Any:
    """The first of what is allowed within dictionaries."""
    if isinstance(value, dict):
        return {key: _example(inner[0]) for key, inner in value.items() if inner[0] != ""}
    return [_example(inner) for inner in value] if isinstance(value, list) else value


def _expected(answer: str) -> list[Call]:
    try:
        (*calls,) = (
            (name, allowed) for each in json.loads(answer) for name, allowed in each.items()
        )
        if all(map(_is_allowed, (values for _, allowed in calls for values in allowed.values()))):
            return calls
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise CheckFailed("the right answer is no list of expected calls") from error
    raise CheckFailed("the right answer has a parameter for which nothing is allowed")


def _is_allowed(values: Any) -> bool:
    """Whether it is a list of allowed values; within dictionaries there are such lists, too."""
    return isinstance(values, list) and bool(values) and all(map(_is_value, values))


def _is_value(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_allowed, value.values()))
    return all(map(_is_value, value)) if isinstance(value, list) else True


def _from_json(value: Any) -> list[Call]:
    calls = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in calls):
        raise ValueError("no calls")
    made = [(each["name"], each.get("arguments", {})) for each in calls]
    if not all(isinstance(arguments, dict) for _, arguments in made):
        raise ValueError("arguments are an object")
    return made


def _nodes(tree: ast.Module) -> list[ast.expr]:
    nodes: list[ast.expr] = []
    for line in tree.body:
        if not isinstance(line, ast.Expr):
            raise ValueError("not a call")
        inner = line.value
        nodes += inner.elts if isinstance(inner, ast.List | ast.Tuple) else [inner]
    return nodes


def _call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("calls have keywords")
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise ValueError("each keyword once")
        arguments[keyword.arg] = ast.literal_eval(_Literal().visit(keyword.value))
    return ast.unparse(node.func), arguments


class _Literal(ast.NodeTransformer):
    """Reads JSON's names for what Python calls True, False and None."""

    def visit_Name(self, node: ast.Name) -> ast.expr:  # the visitor's protocol
        return ast.Constant(_JSON_NAMES[node.id]) if node.id in _JSON_NAMES else node


def _fits(call: Call, wanted: Call) -> bool:
    name, arguments = call
    expected, allowed = wanted
    if name != expected or not arguments.keys() <= allowed.keys():
        return False
    return all(
        any(_same(arguments[key], value) for value in values) if key in arguments else "" in values
        for key, values in allowed.items()
    )


def _same(given: Any, allowed: Any) -> bool:
    if isinstance(given, tuple):
        given = list(given)
    if isinstance(given, bool) or isinstance(allowed, bool) or given is None or allowed is None:
        return given is allowed
    if isinstance(given, int | float) and isinstance(allowed, int | float):
        return given == allowed
    if isinstance(given, str) and isinstance(allowed, str):
        return _DRESSING.sub("", given).casefold() == _DRESSING.sub("", allowed).casefold()
    if isinstance(given, list) and isinstance(allowed, list):
        return len(given) == len(allowed) and all(map(_same, given, allowed))
    if isinstance(given, dict) and isinstance(allowed, dict):
        return _fits(("", given), ("", allowed))
    return False


def _all_placed(fits: list[list[bool]]) -> bool:
    """Whether every call can be one of the expected, each of which is taken once.

    Source: augmenting paths for bipartite matching (Kuhn 1955); cubic at worst.
    """
    owners: dict[int, int] = {}

    def place(call: int, tried: set[int]) -> bool:
        for wanted, fit in enumerate(fits[call]):
            if fit and wanted not in tried:
                tried.add(wanted)
                if wanted not in owners or place(owners[wanted], tried):
                    owners[wanted] = call
                    return True
        return False

    return all(place(call, set()) for call in range(len(fits)))
