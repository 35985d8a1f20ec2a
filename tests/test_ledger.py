"""The costs of random programs, against the longest paths of an explicit graph of calls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal, TypeAlias

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.play import Inline, noise, play
from tts.backends import Meter, Price
from tts.layers import Layer
from tts.ledger import Clock, Ledger, RunUsage
from tts.messages import Completion, Request
from tts.run import Run
from tts.stopping import CONTINUE, StoppingRule, Verdict
from tts.testing import ScriptedBackend
from tts.votes import Tally


@dataclass(frozen=True)
class Ask:
    """One call."""

    words: int


@dataclass(frozen=True)
class Seq:
    """One after another."""

    parts: tuple[Program, ...]


@dataclass(frozen=True)
class Map:
    """All at once."""

    items: tuple[Program, ...]


@dataclass(frozen=True)
class Solve:
    """In a child run."""

    body: Program


@dataclass(frozen=True)
class Sample:
    """Draw with a window; after each of the first `taken` candidates comes the body."""

    words: tuple[int, ...]
    window: int
    speculate: int
    taken: int
    body: Program


Program: TypeAlias = Ask | Seq | Map | Solve | Sample


class Window(StoppingRule, name="window"):
    """Never stops, and keeps so many in flight."""

    width: int

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        return CONTINUE

    def earliest(self, tally: Tally, remaining: int) -> int:
        return min(self.width, remaining)


def extended(inner: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    some = st.lists(inner, max_size=3).map(tuple)
    words = st.lists(st.integers(1, 30), min_size=1, max_size=5).map(tuple)
    sample = st.builds(
        Sample, words, st.integers(1, 5), st.integers(0, 2), st.integers(0, 5), inner
    )
    return st.one_of(st.builds(Seq, some), st.builds(Map, some), st.builds(Solve, inner), sample)


PROGRAMS: st.SearchStrategy[Program] = st.recursive(
    st.builds(Ask, st.integers(1, 30)) | st.just(Seq(())), extended, max_leaves=8
)
Solved = list[tuple[Program, RunUsage]]


async def perform(program: Program, run: Run, solved: Solved) -> None:
    """Play the program through the run's own doors."""
    match program:
        case Ask(words):
            await run.generate(f"ask {words}")
        case Seq(parts):
            for part in parts:
                await perform(part, run, solved)
        case Map(items):
            await run.map(lambda item: perform(item, run, solved), items)
        case Solve(body):
            solution = await run.solve(Inline(work=lambda child: perform(body, child, solved)))
            solved.append((body, solution.usage))
        case Sample():
            await perform_sample(program, run, solved)


async def perform_sample(program: Sample, run: Run, solved: Solved) -> None:
    prompt = " ".join(["draw", *map(str, program.words)])
    async with run.sample(
        prompt,
        len(program.words),
        stop=Window(width=program.window),
        votes=Tally(),
        speculate=program.speculate,
    ) as samples:
        for _ in range(min(program.taken, len(program.words))):
            await anext(samples)
            await perform(program.body, run, solved)


@dataclass(frozen=True)
class Call:
    """A node of the graph: what it costs, and the calls whose results it waited for."""

    tokens: int
    completion_tokens: int
    seconds: float
    after: frozenset[Call]
    number: int

    def __hash__(self) -> int:
        return self.number


class Graph:
    """The calls of a program and their happens-before edges, by the program's structure only."""

    def __init__(self) -> None:
        self.size = 0

    def call(self, prompt: int, words: int, after: frozenset[Call]) -> Call:
        self.size += 1
        return Call(prompt + words, words, pace(words), after, self.size)

    def lay(self, program: Program, after: frozenset[Call]) -> frozenset[Call]:
        """Lay out a program that starts after these calls; return what its end waits for."""
        match program:
            case Ask(words):
                return frozenset([self.call(2, words, after)])
            case Seq(parts):
                return reduce(lambda done, part: self.lay(part, done), parts, after)
            case Map(items):
                return after.union(*(self.lay(item, after) for item in items))
            case Solve(body):
                return self.lay(body, after)
            case Sample():
                return self.lay_sample(program, after)

    def lay_sample(self, program: Sample, here: frozenset[Call]) -> frozenset[Call]:
        n = len(program.words)
        drawn: list[Call] = []
        for consumed in range(min(program.taken, n)):
            wanted = min(program.window, n - consumed) + program.speculate
            while len(drawn) - consumed < min(wanted, n - consumed):
                drawn.append(self.call(n + 1, program.words[len(drawn)], here))
            here = self.lay(program.body, here | {drawn[consumed]})
        return here


def pace(words: int) -> float:
    """How long a call takes: not longer if it says more, or the chains would be the same."""
    return words * 7 % 31 / 4


def longest(ends: frozenset[Call]) -> tuple[int, int]:
    """The longest chain that ends here in tokens, by walking all of them."""
    known: dict[Call, tuple[int, int]] = {}

    def chain(call: Call) -> tuple[int, int]:
        if call not in known:
            tokens, completion = max((chain(one) for one in call.after), default=(0, 0))
            known[call] = (tokens + call.tokens, completion + call.completion_tokens)
        return known[call]

    return max((chain(call) for call in ends), default=(0, 0))


def longest_wait(ends: frozenset[Call]) -> float:
    """The longest chain that ends here in seconds, likewise."""
    known: dict[Call, float] = {}

    def chain(call: Call) -> float:
        if call not in known:
            known[call] = call.seconds + max(map(chain, call.after), default=0.0)
        return known[call]

    return max(map(chain, ends), default=0.0)


def critical_seconds(program: Program) -> float:
    return longest_wait(Graph().lay(program, frozenset()))


def critical(program: Program) -> tuple[int, int]:
    return longest(Graph().lay(program, frozenset()))


def length(request: Request) -> int:
    kind, *words = request.messages[0].content.split()
    return int(words[0 if kind == "ask" else request.ticket])


def script(request: Request) -> str:
    return "w " * length(request)


class Counting(Layer):
    """Counts by itself what started and what finished."""

    started = finished = tokens = 0

    async def generate(self, request: Request, meter: Meter) -> Completion:
        self.started += 1
        self.tokens += self.prompt_tokens(request)
        completion = await super().generate(request, meter)
        self.finished += 1
        self.tokens += completion.usage.completion_tokens
        return completion


@settings(max_examples=100)
@given(PROGRAMS, st.integers(), st.sampled_from([1, 2, 64]))
def test_both_costs_are_those_of_the_graph_of_calls(
    program: Program, salt: int, concurrency: int
) -> None:
    backend = Counting(ScriptedBackend(script, latency=noise(salt)))
    solved: Solved = []
    played = play(backend, lambda run: perform(program, run, solved), concurrency=concurrency)
    usage = played.solution.usage
    assert (usage.critical_tokens, usage.critical_completion_tokens) == critical(program)
    assert (usage.calls, usage.total_tokens) == (backend.started, backend.tokens)
    assert usage.cancelled_calls == backend.started - backend.finished
    for body, own in solved:
        assert (own.critical_tokens, own.critical_completion_tokens) == critical(body)


@settings(max_examples=100)
@given(PROGRAMS, st.sampled_from([1, 2, 64]))
def test_seconds_are_those_of_the_graph_and_never_more_than_passed(
    program: Program, concurrency: int
) -> None:
    async def work(run: Run) -> float:
        start = anyio.current_time()
        await perform(program, run, [])
        return anyio.current_time() - start

    backend = ScriptedBackend(script, latency=lambda request: pace(length(request)))
    played = play(backend, work, concurrency=concurrency)
    seconds = played.solution.usage.critical_seconds
    assert seconds <= played.value + 1e-9
    assert seconds >= critical_seconds(program) - 1e-9
    if concurrency == 64:  # nobody waits for a permit
        assert seconds == pytest.approx(played.value, abs=1e-9)
        assert seconds == pytest.approx(critical_seconds(program), abs=1e-9)


@given(st.lists(st.integers(1, 30), min_size=3, max_size=8), st.integers(1, 4), st.integers())
def test_critical_path_of_a_sample_does_not_depend_on_who_finishes_first(
    words: list[int], window: int, salt: int
) -> None:
    program = Sample(tuple(words), window, 0, len(words), Seq(()))
    backend = ScriptedBackend(script, latency=noise(salt))
    usage = play(backend, lambda run: perform(program, run, [])).solution.usage
    assert (usage.critical_tokens, usage.critical_completion_tokens) == critical(program)


def test_parallel_calls_cost_the_longest_of_them() -> None:
    assert critical(Map((Ask(3), Ask(30), Ask(7)))) == (32, 30)
    assert usage_of(Map((Ask(3), Ask(30), Ask(7)))) == (46, 32)


def test_sequential_calls_cost_their_sum() -> None:
    assert usage_of(Seq((Ask(3), Ask(30), Ask(7)))) == (46, 46)


def test_an_unconsumed_candidate_is_not_on_the_critical_path() -> None:
    assert usage_of(Sample((1, 90), 2, 0, 1, Ask(1))) == (3 + 1 + 3 + 3, 4 + 3)


def usage_of(program: Program) -> tuple[int, int]:
    """Total and critical tokens on a model that needs a second a word."""
    backend = ScriptedBackend(script, latency=lambda request: len(script(request)))
    usage = play(backend, lambda run: perform(program, run, [])).solution.usage
    return usage.total_tokens, usage.critical_tokens


WHOLE = st.integers(0, 99)
CLOCKS = st.builds(Clock, WHOLE, WHOLE, WHOLE.map(float))


@given(CLOCKS, CLOCKS, CLOCKS)
def test_clocks_join_in_any_order(one: Clock, two: Clock, three: Clock) -> None:
    assert one.join(two.join(three)) == three.join(one).join(two) == one.join(two, three)
    assert one.join(one) == one == one.join()


@given(CLOCKS, CLOCKS)
def test_clocks_join_tokens_and_seconds_each_on_its_own(one: Clock, two: Clock) -> None:
    joined = one.join(two)
    assert joined[:2] == max(one[:2], two[:2])
    assert joined.seconds == max(one.seconds, two.seconds)


@given(CLOCKS, CLOCKS, CLOCKS)
def test_a_later_clock_joins_to_no_earlier_one(one: Clock, more: Clock, other: Clock) -> None:
    joined, later = one.join(other), one.plus(more).join(other)
    assert later[:2] >= joined[:2]
    assert later.seconds >= joined.seconds
    assert one.plus(more).since(one) == more


@given(CLOCKS, WHOLE, WHOLE, WHOLE)
def test_clock_since_undoes_after(clock: Clock, prompt: int, completion: int, took: int) -> None:
    meter = Meter(prompt_tokens=prompt, completion_tokens=completion, seconds=float(took))
    assert clock.after(meter).since(clock) == Clock(prompt + completion, completion, took)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["ok", "cancelled", "failed"]))))
def test_ledger_books_for_its_parents_too(
    calls: list[tuple[int, Literal["ok", "cancelled", "failed"]]],
) -> None:
    parent = Ledger()
    child = Ledger(parent)
    for tokens, ending in calls:
        child.book(Meter(prompt_tokens=tokens), Price(input=1e6, output=0.0), ending)
    assert parent.usage(Clock(), 0.0) == child.usage(Clock(), 0.0)
    assert parent.cost_usd == sum(tokens for tokens, _ in calls)
    assert parent.failed == sum(ending == "failed" for _, ending in calls)


@pytest.mark.parametrize(
    "prices", [[None, Price(input=1, output=1)], [Price(input=1, output=1), None]]
)
def test_one_unknown_price_makes_the_cost_unknown(prices: list[Price | None]) -> None:
    ledger = Ledger()
    for price in prices:
        ledger.book(Meter(prompt_tokens=5), price, "ok")
    assert ledger.usage(Clock(), 0.0).cost_usd is None


def test_what_a_cache_answers_costs_nothing_whatever_the_price() -> None:
    ledger = Ledger()
    ledger.book(Meter(cached=True), None, "ok", draws=3)
    assert (ledger.cost_usd, ledger.cached, ledger.calls) == (0.0, 3, 0)


@pytest.mark.parametrize(
    ("ending", "counts"),
    [("ok", (4, 0, 0)), ("cancelled", (4, 4, 0)), ("failed", (1, 0, 4)), ("divided", (1, 0, 0))],
)
def test_several_draws_of_one_call_are_counted(
    ending: Literal["ok", "cancelled", "failed", "divided"], counts: tuple[int, int, int]
) -> None:
    parent = Ledger()
    ledger = Ledger(parent)
    ledger.book(Meter(started=True), None, ending, role="select", draws=4)
    assert (parent.calls, parent.cancelled, parent.failed) == counts
    assert sum(parent.failures.values()) == parent.failures["select"]
