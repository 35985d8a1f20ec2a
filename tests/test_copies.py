from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import tts
from tts.copies import copied
from tts.strategies.compiler import Compiler
from tts.testing import SpeakingBackend, virtual_run
from tts.tools import Tool

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sets(st.integers(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
)


def containers(value: Any) -> list[Any]:
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, list | dict | tuple | set):
        return []
    inner = [] if isinstance(value, set) else [one for part in parts for one in containers(part)]
    return ([] if isinstance(value, tuple) else [value]) + inner


@given(VALUES)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value: Any) -> None:
    other = copied(value)
    assert (other, type(other)) == (value, type(value))
    assert {*map(id, containers(value))}.isdisjoint(map(id, containers(other)))


def test_objects_of_other_classes_stay_the_same() -> None:
    class Own(list[int]):
        pass

    one, handle = Own([1]), object()
    assert copied([one, handle])[0] is one
    assert copied({"h": handle})["h"] is handle


def test_what_stands_in_several_places_is_copied_once() -> None:
    """Written out this would be 2 ** 60 lists."""
    tangle: list[Any] = [1]
    for _ in range(60):
        tangle = [tangle, tangle]
    other = copied(tangle)
    assert other[0] is other[1] is not tangle[0]


def test_what_stands_within_itself_ends() -> None:
    ring: list[Any] = [1]
    ring += [ring, {"ring": ring}, (ring,)]
    other = copied(ring)
    assert other is not ring
    assert other[1] is other[2]["ring"] is other[3][0] is other


def test_what_is_nested_deeply_needs_no_stack() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert copied(deep) is not deep


def test_no_tool_changes_what_another_has_found() -> None:
    """Neither the one that takes a list and adds to it, nor the one that made it and keeps it."""
    kept: list[int] = []

    def grow() -> list[int]:
        kept.append(len(kept))
        return kept

    def add(items: list[int]) -> int:
        items.append(9)
        return len(items)

    def total(items: list[int], after: int) -> int:
        return sum(items) + after

    plan = "1. grow()\n2. add($1)\n3. total($1, $2)\n4. grow()\n5. add($4)\n6. join()"
    backend = SpeakingBackend({"plan": [plan], "join": ["Finish: 2"]})
    tools = tuple(Tool.of(one, is_quick=True, is_shared=False) for one in (grow, add, total))
    strategy = Compiler(tools=tools, slots=1)  # type: ignore[arg-type]  # parsed by the field
    solution = virtual_run(lambda: tts.solve("q", strategy, model=backend))
    assert solution.graph is not None
    assert [step.result for step in solution.graph.steps] == ["[0]", "2", "2", "[0, 1]", "3"]
    assert "grow() = [0]\n" in backend.requests[-1].messages[-1].content
