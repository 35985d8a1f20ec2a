from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends.wire.sse import Events

LINES = st.lists(
    st.one_of(
        st.text(
            st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8
        ).map(lambda text: f"data: {text}"),
        st.sampled_from([": comment", "event: x", "id: 7", "data", "retry: 5", "", "nonsense"]),
    ),
    max_size=12,
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def slow_oracle(text: str) -> list[bytes]:
    """The standard's own words, on the whole text at once."""
    found, data = [], []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            found.append("\n".join(data).encode())
            data = []
    return found


@given(LINES, ENDS, st.lists(st.integers(0, 200), max_size=8))
def test_events_do_not_depend_on_where_chunks_end(
    lines: list[str], end: str, cuts: list[int]
) -> None:
    text = "".join(line + end for line in lines)
    raw = text.encode()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    events = Events()
    found = [event for start, stop in pairwise(places) for event in events.feed(raw[start:stop])]
    assert found == slow_oracle(text)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_json_comes_through(value: object) -> None:
    raw = b"data: " + json.dumps(value).encode() + b"\n\n"
    assert [json.loads(event) for event in Events().feed(raw)] == [value]


@pytest.mark.parametrize("rest", [b"data: 7", b"data: 7\n", b"data: 7\r\n"])
def test_an_event_without_its_blank_line_is_found_at_the_end(rest: bytes) -> None:
    events = Events()
    assert events.feed(b"data: 6\n\n" + rest) == [b"6"]
    assert events.end() == [b"7"]
    assert events.end() == []


def test_a_byte_order_mark_is_no_data() -> None:
    assert Events().feed(b"\xef\xbb\xbfdata: 7\n\n") == [b"7"]
