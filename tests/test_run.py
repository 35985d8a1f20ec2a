from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.play import Inline, answering, drawn, noise, play, rig
from tts.backends import Backend, Meter
from tts.errors import BackendError, BackendUnavailable, ConfigError, NoQuorum, RateLimited
from tts.layers import Budget, Layer
from tts.messages import Completion, Message, Request, Sampling
from tts.problem import Problem, Solution
from tts.run import Run
from tts.stopping import Dominance, Never, StoppingRule
from tts.testing import FlakyBackend, ScriptedBackend, virtual_run
from tts.votes import Confidence, Tally

ANSWERS = st.lists(st.sampled_from(["a", "a", "b", "c", None]), min_size=1, max_size=12)
SALTS = st.integers(0, 999)


def echo(request: Request) -> str:
    """Say where the call stands and which seed it got."""
    return f"{request.span} {request.ticket} {request.seed} Answer: cat"


def failing(backend: Backend, *tickets: int) -> FlakyBackend:
    return FlakyBackend(backend, lambda request: request.ticket in tickets)


async def voted(run: Run, n: int, rule: StoppingRule | None = None, **options: Any) -> Solution:
    votes = Tally()
    async with run.sample("Q", n, stop=rule or Dominance(), votes=votes, **options) as samples:
        async for candidate in samples:
            votes.add(candidate)
    return votes.solution()


async def everything(run: Run) -> list[str]:
    """Ask in every way there is; return all texts."""
    texts = [(await run.generate("Q")).text, (await run.candidate("Q")).text]
    texts += [text or "" for text in await drawn(run, 3)]
    texts += [text or "" for text in await drawn(run, 2)]

    async def item(number: int) -> str:
        return (await run.generate(f"Q{number}")).text + str(await drawn(run, 2))

    texts += await run.map(item, range(3))
    child = await run.solve(Inline(work=lambda inner: voted(inner, 4)))
    return [*texts, str([candidate.text for candidate in child.candidates])]


# Seeds and determinism


@given(SALTS, st.integers(0, 2**40))
def test_texts_depend_on_neither_concurrency_nor_latency(salt: int, seed: int) -> None:
    one = play(ScriptedBackend(echo), everything, seed=seed, concurrency=1)
    other = play(ScriptedBackend(echo, latency=noise(salt)), everything, seed=seed, concurrency=64)
    assert one.value == other.value
    assert one.solution.candidates == other.solution.candidates


def test_every_call_has_its_own_seed() -> None:
    backend = ScriptedBackend(echo)
    play(backend, everything)
    seeds = [request.seed for request in backend.requests]
    assert len(set(seeds)) == len(seeds)
    assert all(seed is not None and 0 <= seed < 2**31 for seed in seeds)


def test_another_run_seed_gives_other_seeds() -> None:
    backends = [ScriptedBackend(echo), ScriptedBackend(echo)]
    for seed, backend in enumerate(backends):
        play(backend, everything, seed=seed)
    seeds = [{request.seed for request in backend.requests} for backend in backends]
    assert not seeds[0] & seeds[1]


async def dice(run: Run) -> list[float]:
    """Random numbers of the run, of two items and of a child run."""
    own = [run.rng.random(), run.rng.random()]

    async def item(_: int) -> float:
        return run.rng.random()

    own += await run.map(item, range(2))

    async def child(inner: Run) -> None:
        own.append(inner.rng.random())

    await run.solve(Inline(work=child))
    return own


def test_rng_is_replayable_and_differs_by_place_and_seed() -> None:
    one, again, other = (play(ScriptedBackend([]), dice, seed=seed).value for seed in (3, 3, 4))
    assert one == again
    assert len({*one, *other}) == 10


# Sampling


@given(ANSWERS, SALTS)
def test_candidates_come_in_ticket_order(answers: list[str | None], salt: int) -> None:
    backend = answering(answers, latency=noise(salt))
    assert play(backend, lambda run: drawn(run, len(answers))).value == answers


@given(st.permutations([1.0, 2.0, 3.0, 4.0]))
def test_completion_order_is_opt_in(latencies: list[float]) -> None:
    answers = [str(latency) for latency in latencies]
    backend = answering(answers, latency=lambda request: latencies[request.ticket])
    value = play(backend, lambda run: drawn(run, 4, order="completion")).value
    assert value == ["1.0", "2.0", "3.0", "4.0"]


@given(ANSWERS, SALTS)
def test_dominance_answers_as_the_full_vote(answers: list[str | None], salt: int) -> None:
    backend = answering(answers, latency=noise(salt))
    early = play(backend, lambda run: voted(run, len(answers)))
    full = play(answering(answers), lambda run: voted(run, len(answers), Never()))
    assert early.solution.answer == full.solution.answer


@given(ANSWERS, SALTS)
def test_dominance_makes_exactly_the_calls_it_consumes(
    answers: list[str | None], salt: int
) -> None:
    backend = answering(answers, latency=noise(salt))
    solution = play(backend, lambda run: voted(run, len(answers))).solution
    assert solution.usage.calls == solution.samples
    assert solution.usage.cancelled_calls == 0


class Watched(Dominance, name="watched"):
    """Tells what it allows, so that a backend can compare."""

    tell: Callable[[int], None]

    def earliest(self, tally: Tally, remaining: int) -> int:
        allowed = super().earliest(tally, remaining)
        self.tell(allowed)
        return allowed


@given(ANSWERS, SALTS, st.integers(0, 3))
def test_in_flight_never_exceeds_what_the_rule_allows(
    answers: list[str | None], salt: int, speculate: int
) -> None:
    allowed: list[int] = []
    excess: list[int] = []

    def latency(request: Request) -> float:
        excess.append(backend.active - allowed[-1] - speculate)
        return noise(salt)(request)

    backend = answering(answers, latency=latency)
    rule = Watched(tell=allowed.append)
    play(backend, lambda run: voted(run, len(answers), rule, speculate=speculate))
    assert max(excess) <= 0


@given(st.integers(1, 60), st.integers(1, 4), SALTS)
def test_many_draws_need_few_tasks(n: int, concurrency: int, salt: int) -> None:
    tasks: list[int] = []

    def script(request: Request) -> str:
        tasks.append(len(asyncio.all_tasks()))
        return f"Answer: {request.ticket}"

    backend = ScriptedBackend(script, latency=noise(salt))
    value = play(backend, lambda run: drawn(run, n), concurrency=concurrency).value
    assert value == [str(ticket) for ticket in range(n)]
    assert max(tasks) <= 4 * concurrency + 1


@pytest.mark.parametrize(("quorum", "active"), [(1, 5), (7, 7), (9, 9)])
def test_a_quorum_is_asked_for_at_once(quorum: int, active: int) -> None:
    backend = answering(["a"] * 9)
    play(backend, lambda run: voted(run, 9, quorum=quorum))
    assert backend.most_active == active


def test_speculation_keeps_more_in_flight() -> None:
    backend = answering(["a"] * 9)
    play(backend, lambda run: voted(run, 9, speculate=3))
    assert backend.most_active == 8


@given(st.integers(0, 6), SALTS)
def test_leaving_the_block_cancels_what_flies(taken: int, salt: int) -> None:
    backend = answering(["a"] * 6, latency=noise(salt))

    async def work(run: Run) -> tuple[int, int]:
        async with run.sample("Q", 6) as samples:
            for _ in range(taken):
                await anext(samples)
        return backend.active, len(asyncio.all_tasks())

    assert play(backend, work).value == (0, 1)


def test_cancelled_calls_are_counted_with_their_tokens() -> None:
    backend = answering(["a", "b", "c"], latency=lambda request: 1.0 + request.ticket)

    async def work(run: Run) -> None:
        async with run.sample("two words", 3) as samples:
            await anext(samples)

    usage = play(backend, work).solution.usage
    assert (usage.calls, usage.cancelled_calls) == (3, 2)
    assert (usage.prompt_tokens, usage.completion_tokens) == (6, 2)


class Held(Layer):
    """Holds ticket 1 back until somebody opens the gate."""

    gate: anyio.Event

    async def generate(self, request: Request, meter: Meter) -> Completion:
        completion = await super().generate(request, meter)
        if request.ticket == 1:
            await self.gate.wait()
        return completion


def test_a_call_may_finish_at_the_moment_the_block_is_left() -> None:
    backend = Held(answering(["a", "b"]))

    async def work(run: Run) -> None:
        backend.gate = anyio.Event()
        async with run.sample("Q", 2) as samples:
            await anext(samples)
            backend.gate.set()

    assert play(backend, work).solution.usage.cancelled_calls == 0


def test_a_block_that_draws_nothing_calls_nothing() -> None:
    backend = answering([])

    async def work(run: Run) -> None:
        async with run.sample("Q", 5):
            pass

    assert play(backend, work).solution.usage.calls == 0


def test_the_iterator_stays_at_its_end() -> None:
    async def work(run: Run) -> list[Any]:
        async with run.sample("Q", 1) as samples:
            return [[one async for one in samples], [one async for one in samples]][1]

    assert play(answering(["a"]), work).value == []


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"n": 1, "speculate": -1}, {"n": 1, "stop": Never()}]
)
def test_sample_refuses_what_makes_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        play(answering(["a"]), lambda run: drawn(run, **options))


def test_votes_that_need_logprobs_get_them() -> None:
    backend = answering(["a"])

    async def work(run: Run) -> Solution:
        votes = Tally(Confidence())
        async with run.sample("Q", 1, votes=votes) as samples:
            votes.add(await anext(samples))
        return votes.solution()

    assert play(backend, work).solution.answer == "a"
    assert backend.requests[0].logprobs


# Failures


@given(ANSWERS, st.sets(st.integers(0, 11)), SALTS)
def test_failing_draws_leave_the_vote_of_the_others(
    answers: list[str | None], lost: set[int], salt: int
) -> None:
    kept = [answer for ticket, answer in enumerate(answers) if ticket not in lost]
    backend = failing(answering(answers, latency=noise(salt)), *lost)
    if kept:
        played = play(backend, lambda run: drawn(run, len(answers)))
        assert played.value == kept
        assert played.solution.failed_calls == len(answers) - len(kept)
    else:
        with pytest.raises(BackendUnavailable):
            play(backend, lambda run: drawn(run, len(answers)))


@given(st.sets(st.integers(0, 11), max_size=11), SALTS)
def test_a_failing_draw_can_decide_the_vote(lost: set[int], salt: int) -> None:
    backend = failing(answering(["a"] * 12, latency=noise(salt)), *lost)
    alive = [ticket not in lost for ticket in range(12)]
    ties = alive[0]  # go to the answer that came first
    needed = next((seen for seen in range(12) if sum(alive[:seen]) + ties > 12 - seen), 12)
    assert play(backend, lambda run: voted(run, 12)).solution.usage.calls == needed


def test_fewer_survivors_than_the_quorum_are_no_sample() -> None:
    errors = iter([RateLimited("first"), RateLimited("second")])
    backend = FlakyBackend(answering(["a"] * 4), lambda r: r.ticket in (1, 3), lambda: next(errors))
    with pytest.raises(NoQuorum) as caught:
        play(backend, lambda run: drawn(run, 4, quorum=3))
    assert (len(caught.value.candidates), caught.value.quorum) == (2, 3)
    assert str(caught.value.__cause__) == "first"


def test_a_strategy_may_go_on_without_a_quorum() -> None:
    async def work(run: Run) -> list[str | None]:
        with pytest.raises(NoQuorum):
            await drawn(run, 4, quorum=4)
        return await drawn(run, 1)

    assert play(failing(answering(["a"] * 4), 3), work).value == ["a"]


def test_a_sample_whose_draws_all_fail_raises_the_first_error() -> None:
    errors = iter([RateLimited("first"), RateLimited("second")])
    backend = FlakyBackend(answering(["a"] * 2), lambda request: True, lambda: next(errors))
    with pytest.raises(RateLimited, match="first"):
        play(backend, lambda run: drawn(run, 2, quorum=2))


def test_enough_survivors_for_the_quorum_is_no_error() -> None:
    assert play(failing(answering(["a"] * 4), 1), lambda run: drawn(run, 4, quorum=3)).value


@pytest.mark.parametrize("error", [KeyError("k"), ConfigError("c"), LookupError("l")])
def test_other_errors_of_a_draw_come_out_unwrapped(error: Exception) -> None:
    backend = FlakyBackend(answering(["a"] * 3), lambda request: request.ticket == 2, lambda: error)
    with pytest.raises(type(error)) as caught:
        play(backend, lambda run: drawn(run, 3))
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyError("k"), ConfigError("c"), StopAsyncIteration()])
def test_errors_of_the_block_come_out_unwrapped(error: Exception) -> None:
    async def work(run: Run) -> None:
        async with run.sample("Q", 3) as samples:
            await anext(samples)
            raise error

    async def main() -> None:
        async with rig(answering(["a"] * 3)).run.sample("Q", 3) as samples:
            await anext(samples)
            raise error

    with pytest.raises(type(error)) as caught:
        virtual_run(main)
    assert caught.value is error


def test_bad_options_are_named() -> None:
    async def work(run: Run) -> None:
        await run.generate("Q", role="judge", temperature=-1.0)

    with pytest.raises(ConfigError, match="call of role 'judge': temperature: "):
        play(answering(["a"]), work)


# Map


@given(st.lists(st.integers(0, 99), max_size=8), st.integers(1, 9), SALTS)
def test_map_keeps_the_order_of_the_items(items: list[int], concurrency: int, salt: int) -> None:
    async def work(run: Run) -> list[str]:
        async def ask(item: int) -> str:
            return (await run.generate(f"{item}")).text

        return await run.map(ask, items, concurrency=concurrency)

    backend = ScriptedBackend(lambda r: r.messages[0].content, latency=noise(salt))
    assert play(backend, work).value == [str(item) for item in items]
    assert backend.most_active <= concurrency


async def mapped(run: Run, failures: Any) -> Any:
    async def ask(item: int) -> str:
        return (await run.generate(f"item {item}")).text

    return await run.map(ask, range(4), failures=failures)


def lame(request: Request) -> bool:
    return request.messages[0].content in {"item 1", "item 2"}


def test_map_skips_failures_on_request() -> None:
    backend = FlakyBackend(ScriptedBackend(lambda r: r.messages[0].content), lame)
    value = play(backend, lambda run: mapped(run, "skip")).value
    assert value == ["item 0", None, None, "item 3"]


def test_map_raises_the_first_failure_and_cancels_the_rest() -> None:
    inner = ScriptedBackend(lambda r: "text", latency=lambda r: 5.0)
    with pytest.raises(BackendUnavailable):
        play(FlakyBackend(inner, lame), lambda run: mapped(run, "raise"))
    assert inner.active == 0


def test_map_skips_what_the_budget_refuses() -> None:
    backend = ScriptedBackend(lambda r: r.messages[0].content)
    played = play(backend, lambda run: mapped(run, "skip"), budget=Budget(calls=2))
    assert played.value == ["item 0", "item 1", None, None]
    assert played.solution.status == "budget_exhausted"


def test_a_failed_map_still_happened_before_what_follows() -> None:
    async def work(run: Run) -> None:
        async def ask(item: int) -> None:
            await run.generate("two words")
            await run.generate(f"item {item}")

        with pytest.raises(BackendUnavailable):
            await run.map(ask, range(3))
        await run.generate("Q")

    backend = FlakyBackend(ScriptedBackend(lambda r: "text"), lame)
    assert play(backend, work).solution.usage.critical_tokens >= 3 + 2


# Solve


def test_a_child_run_has_its_own_ledger_inside_its_parents() -> None:
    children: list[Solution] = []

    async def work(run: Run) -> None:
        await run.generate("Q")
        children.append(await run.solve(Inline(work=lambda child: drawn(child, 2))))

    solution = play(answering(["a", "b"]), work).solution
    assert (children[0].usage.calls, solution.usage.calls) == (2, 3)
    assert (children[0].usage.critical_tokens, solution.usage.critical_tokens) == (3, 6)
    assert (children[0].samples, solution.samples) == (2, 2)


def test_a_child_run_may_have_another_problem() -> None:
    async def text(run: Run) -> Solution:
        return Solution(answer=run.problem.text)

    async def work(run: Run) -> Solution:
        return await run.solve(Inline(work=text), Problem(text="Part"))

    assert play(answering([]), work).solution.answer == "Part"


def test_children_count_their_own_parse_failures() -> None:
    async def work(run: Run) -> Solution:
        run.count_parse_failure()
        await drawn(run, 2)
        return await run.solve(Inline(work=lambda child: drawn(child, 2)))

    solution = play(answering(["a", None]), work).solution
    assert solution.parse_failures == 3


@pytest.mark.parametrize("error", [KeyError("k"), ConfigError("c"), RuntimeError("r")])
def test_errors_of_a_strategy_come_out_unwrapped(error: Exception) -> None:
    async def broken(run: Run) -> None:
        await drawn(run, 1)
        raise error

    async def work(run: Run) -> None:
        await run.map(lambda _: run.solve(Inline(work=broken)), range(2))

    with pytest.raises(type(error)) as caught:
        play(answering(["a"]), work)
    assert caught.value is error


def test_a_backend_error_before_the_first_candidate_is_raised() -> None:
    async def work(run: Run) -> None:
        await run.generate("Q")

    with pytest.raises(BackendUnavailable):
        play(failing(answering(["a"]), 0), work)


def test_a_backend_error_after_candidates_is_the_vote_over_them() -> None:
    async def work(run: Run) -> None:
        await drawn(run, 3)
        raise RateLimited("busy")

    assert play(answering(["b", "a", "a"]), work).solution.answer == "a"


def test_budget_exceeded_after_candidates_is_the_vote_over_them() -> None:
    async def work(run: Run) -> None:
        await drawn(run, 3)
        await run.generate("Q")

    solution = play(answering(["b", "a", "a"]), work, budget=Budget(calls=3)).solution
    assert (solution.answer, solution.status, solution.samples) == ("a", "budget_exhausted", 3)


def test_budget_exceeded_before_the_first_candidate_is_no_error() -> None:
    async def work(run: Run) -> None:
        await run.generate("one")
        await run.generate("two")

    solution = play(ScriptedBackend(["x", "y"]), work, budget=Budget(calls=1)).solution
    assert (solution.answer, solution.status) == (None, "budget_exhausted")


def test_a_sample_ends_with_its_budget() -> None:
    solution = play(
        answering(["a"] * 9), lambda run: voted(run, 9), budget=Budget(calls=3)
    ).solution
    assert (solution.answer, solution.status, solution.samples) == ("a", "budget_exhausted", 3)
    assert solution.stopped_by is None


@pytest.mark.parametrize("rule", [Never(), Dominance()])
def test_a_spent_budget_asks_for_no_quorum(rule: StoppingRule) -> None:
    backend = failing(answering(["a"] * 9), 0)
    played = play(backend, lambda run: voted(run, 9, rule, quorum=9), budget=Budget(calls=4))
    assert (played.value.answer, played.solution.status) == ("a", "budget_exhausted")


@pytest.mark.parametrize("rule", [Never(), Dominance()])
def test_a_spent_budget_hides_no_error_where_nothing_was_found(rule: StoppingRule) -> None:
    backend = failing(answering(["a"] * 9), 0)
    with pytest.raises(BackendError):
        play(backend, lambda run: voted(run, 9, rule), budget=Budget(calls=1))


def test_stopping_is_reported_with_the_solution() -> None:
    solution = play(answering(["a"] * 9), lambda run: voted(run, 9)).solution
    assert solution.stopped_by is not None
    assert (solution.stopped_by.rule, solution.status) == ("dominance", "ok")


def test_a_run_without_an_answer_says_so() -> None:
    assert play(answering([None]), lambda run: drawn(run, 1)).solution.status == "no_answer"


# Requests


def test_prompts_may_be_texts_rendered_or_conversations() -> None:
    backend = ScriptedBackend(lambda request: "text")
    turns = [Message(role="system", content="S"), Message(role="user", content="U")]

    async def work(run: Run) -> None:
        await run.generate("text")
        await run.generate(turns, role="judge")
        await run.generate(run.prompt("solve", problem="P"))

    play(backend, work)
    assert [request.role for request in backend.requests] == ["solve", "judge", "solve"]
    assert backend.requests[1].messages == tuple(turns)


def test_options_of_a_call_win_over_the_models() -> None:
    backend = ScriptedBackend(lambda request: "text")

    async def work(run: Run) -> None:
        await run.generate("Q", temperature=0.0, stop=("\n",))

    play(backend, work, sampling=Sampling(temperature=2.0, top_k=5))
    request = backend.requests[0]
    assert (request.temperature, request.stop, request.top_k) == (0.0, ("\n",), 5)


def test_remaining_is_what_the_budget_has_left() -> None:
    async def work(run: Run) -> tuple[float, float]:
        await run.generate("two words")
        return run.remaining.tokens, run.remaining.calls

    played = play(ScriptedBackend(["x"]), work, budget=Budget(total_tokens=2000, calls=5))
    assert played.value == (1997, 4)


def test_a_run_may_be_used_without_a_strategy() -> None:
    async def main() -> str:
        return (await rig(ScriptedBackend(["x"])).run.generate("Q")).text

    assert virtual_run(main) == "x"


# Progress


def test_updates_follow_every_candidate() -> None:
    async def main() -> list[tuple[int, int, int]]:
        seen: list[tuple[int, int, int]] = []
        set_up = rig(answering(["a", "b", "a"]))
        set_up.run._session.on_update = lambda update: seen.append(
            (update.samples, update.planned, update.total_tokens)
        )
        await set_up.run.solve(Inline(work=lambda run: voted(run, 3, Never())))
        return seen

    assert virtual_run(main)[-1] == (3, 3, 9)


def test_notes_come_back_with_the_solution_and_in_the_trace() -> None:
    async def work(run: Run) -> None:
        run.note(paths=4)
        run.note(paths=5, share=0.5)

    played = play(answering([]), work)
    assert played.solution.notes == {"paths": 5, "share": 0.5}
    notes = [record for record in played.rig.records if record["event"] == "note"]
    assert [note["values"] for note in notes] == [{"paths": 4}, {"paths": 5, "share": 0.5}]
