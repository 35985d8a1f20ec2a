"""The wire's own waits and sizes, on virtual time and a transport of paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from tts.backends.wire import Timeouts, Wire
from tts.backends.wire.transport import Outgoing
from tts.errors import BackendTimeout, BackendUnavailable, ConfigError, InvalidResponse
from tts.testing import virtual_run

TIMEOUTS = Timeouts(connect=1, first_byte=100, between_chunks=10, total=150)


@dataclass
class Paper:
    """A response that is written down: chunks, each after some seconds."""

    chunks: list[tuple[float, bytes]]
    head_after: float = 0.0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_over: bool = False
    is_closed: bool = False
    read: int = 0

    def at_hand(self) -> bytes:
        return b""

    async def chunk(self) -> bytes:
        for seconds, data in self.chunks[self.read : self.read + 1]:
            self.read += 1
            await anyio.sleep(seconds)
            return data
        return b""

    async def close(self) -> None:
        self.is_closed = True


class Shelf:
    """A transport that hands out papers in turn."""

    def __init__(self, *papers: Paper) -> None:
        self.papers, self.asked = papers, list[Outgoing]()

    async def send(self, request: Outgoing) -> Paper:
        paper = self.papers[len(self.asked)]
        self.asked.append(request)
        await anyio.sleep(paper.head_after)
        return paper

    async def close(self) -> None: ...


def wire(*papers: Paper, **settings: Any) -> Wire:
    fields: dict[str, Any] = {"timeouts": TIMEOUTS, "max_bytes": 1000}
    return Wire(Shelf(*papers), "https://host/v1", **(fields | settings))


class Tale:
    """A story that is whole after an event that says so."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    @property
    def is_whole(self) -> bool:
        return "end" in self.events

    def read(self, event: Any) -> bool:
        self.events.append(event)
        return bool(event == "stop")


def post(paper: Paper, **settings: Any) -> Any:
    return virtual_run(lambda: wire(paper, **settings).post("/x", {}))


def tell(paper: Paper, **settings: Any) -> list[Any]:
    tale = Tale()
    virtual_run(lambda: wire(paper, **settings).stream("/x", {}, tale))
    return tale.events


@pytest.mark.parametrize(
    ("paper", "says"),
    [
        (Paper([], head_after=101), "no answer began in 100 s"),
        (Paper([(11, b"{}")]), "stalled for 10 s"),
        (Paper([(9, b"{"), (9, b"}"), (11, b" ")]), "stalled for 10 s"),
        (Paper([(9, b" ")] * 20), "no whole answer in 150 s"),
        (Paper([(9, b" ")] * 20, head_after=99), "no whole answer in 150 s"),
    ],
)
def test_every_wait_ends(paper: Paper, says: str) -> None:
    with pytest.raises(BackendTimeout, match=says):
        post(paper)
    assert paper.is_closed or paper.head_after > 100


def test_a_slow_answer_within_its_time_is_an_answer() -> None:
    assert post(Paper([(9, b'{"a"'), (9, b": 1}")], head_after=99)) == {"a": 1}


def test_a_call_that_is_cancelled_closes_its_response() -> None:
    paper = Paper([(5, b"{}")])

    async def main() -> None:
        with anyio.move_on_after(1):
            await wire(paper).post("/x", {})

    virtual_run(main)
    assert paper.is_closed


def test_an_answer_is_read_up_to_the_largest_size_and_no_further() -> None:
    assert post(Paper([(0, b"[" + b" " * 998 + b"]")])) == []
    long = Paper([(0, b" " * 600)] * 5)
    with pytest.raises(InvalidResponse, match="larger than 1000 bytes"):
        post(long)
    assert long.read == 2


def test_a_stream_is_bounded_too() -> None:
    with pytest.raises(InvalidResponse, match="larger than"):
        tell(Paper([(0, b'data: "x"\n\n')] * 100))


def test_what_drips_after_a_whole_story_is_waited_for_a_moment_only() -> None:
    pings = [(0.2, b": ping\n\n")] * 10_000
    paper = Paper([(0, b'data: "end"\n\n'), *pings])
    assert tell(paper, max_bytes=10**6) == ["end"]
    assert paper.read <= 5
    done = Paper([(0, b'data: "end"\n\ndata: [DONE]\n\n'), *pings])
    assert tell(done, max_bytes=10**6) == ["end"]
    assert done.read <= 5


def test_a_whole_story_needs_no_end_of_stream() -> None:
    paper = Paper([(0, b'data: "a"\n\n'), (0, b'data: "end"\n\n'), (99, b"")])
    assert tell(paper) == ["a", "end"]
    assert paper.is_closed


def test_what_follows_a_whole_story_at_once_belongs_to_it() -> None:
    paper = Paper([(0, b'data: "end"\n\n'), (0.1, b'data: "usage"\n\n'), (0, b"data: [DONE]\n\n")])
    assert tell(paper) == ["end", "usage"]


def test_a_total_that_ends_after_the_answer_is_no_error() -> None:
    paper = Paper([(9.99, b": wait\n\n")] * 14 + [(9.99, b'data: "end"\n\n'), (9, b"")])
    assert tell(paper) == ["end"]


def test_a_story_that_ends_before_it_is_whole_is_an_error() -> None:
    with pytest.raises(BackendUnavailable, match="before the answer did"):
        tell(Paper([(0, b'data: "a"\n\n')]))


def test_nothing_is_read_after_a_story_that_needs_no_more() -> None:
    assert tell(Paper([(0, b'data: "end"\n\ndata: "stop"\n\ndata: "more"\n\n')])) == ["end", "stop"]


def moved(location: str, status: int = 307) -> Paper:
    return Paper([(0, b"")], status=status, headers={"location": location})


@pytest.mark.parametrize("location", ["/v2/x", "https://host/v2/x", "https://host:443/v2/x"])
def test_a_redirect_within_the_server_is_followed(location: str) -> None:
    shelf = Shelf(moved(location), Paper([(0, b"{}")]))
    virtual_run(lambda: Wire(shelf, "https://host/v1", headers={"k": "v"}).post("/x", {"a": 1}))
    assert [request.url.split(":443")[0][:12] for request in shelf.asked] == ["https://host"] * 2
    assert shelf.asked[1].body == shelf.asked[0].body
    assert shelf.asked[1].headers["k"] == "v"


ELSEWHERE = [
    "https://evil/x",
    "http://host/x",
    "https://host:444/x",
    "//evil/x",
    "https://host.evil",
]


@pytest.mark.parametrize("location", ELSEWHERE)
def test_a_redirect_to_another_server_is_refused(location: str) -> None:
    shelf = Shelf(moved(location))
    with pytest.raises(Exception, match="redirects to"):
        virtual_run(lambda: Wire(shelf, "https://host/v1").post("/x", {}))
    assert len(shelf.asked) == 1


def test_redirects_in_a_circle_end() -> None:
    shelf = Shelf(*[moved("/x")] * 4)
    with pytest.raises(Exception, match="redirects to"):
        virtual_run(lambda: Wire(shelf, "https://host/v1").post("/x", {}))


def test_a_compressed_answer_is_named() -> None:
    paper = Paper([(0, b"\x1f\x8b\x00")], headers={"content-encoding": "gzip"})
    with pytest.raises(InvalidResponse, match="compressed"):
        post(paper)


def test_half_a_surrogate_pair_cannot_be_sent() -> None:
    with pytest.raises(ConfigError, match="JSON"):
        virtual_run(lambda: wire(Paper([])).post("/x", {"text": "\ud800"}))


def test_text_is_sent_as_utf8() -> None:
    text = "ü€𝄞"
    shelf = Shelf(Paper([(0, b"{}")]))
    virtual_run(lambda: Wire(shelf, "https://host/v1").post("/x", {"text": text}))
    assert text.encode() in shelf.asked[0].body
