from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import Field

import tts
from tts.errors import InvalidResponse
from tts.joint_texts import JointText
from tts.layers import Trace
from tts.messages import Completion, Message, Request, TokenLogprob, Usage
from tts.problem import Problem, Solution
from tts.run import Run
from tts.strategy import Strategy
from tts.testing import ScriptedBackend, completion, virtual_run


class Work(Strategy, name="work"):
    """Lets a function use the run."""

    work: Callable[[Run], Awaitable[Any]] = Field(exclude=True)

    async def solve(self, problem: Problem, run: Run) -> Solution:
        await self.work(run)
        return Solution(answer=None)


def within(backend: ScriptedBackend, work: Callable[[Run], Awaitable[Any]]) -> Solution:
    return virtual_run(lambda: tts.solve("q", Work(work=work), model=backend))


def echo(request: Request) -> str:
    return f"<{request.messages[-1].role}: {request.messages[-1].content}>"


def test_a_begun_text_is_the_assistants_last_word() -> None:
    backend = ScriptedBackend(echo)

    async def work(run: Run) -> None:
        assert (await run.extend("ask", "")).text == "<user: ask>"
        assert (await run.extend("ask", "so far")).text == "<assistant: so far>"
        assert (await run.extend("ask", "so", max_tokens=1)).finish_reason == "length"

    solution = within(backend, work)
    assert backend.requests[1].messages == (
        Message(role="user", content="ask"),
        Message(role="assistant", content="so far"),
    )
    assert solution.usage.calls == 3
    assert solution.usage.critical_tokens == solution.usage.total_tokens


@pytest.mark.parametrize(
    ("start", "words"),
    [(0, ["one", "two", "two"]), (4, ["two", "two"]), (5, ["two"]), (8, ["two"])],
)
def test_score_returns_the_tokens_that_begin_at_a_place_or_later(
    start: int, words: list[str]
) -> None:
    async def work(run: Run) -> None:
        entries = await run.score("ask", "one two two", start=start)
        assert [entry.token for entry in entries] == words

    solution = within(ScriptedBackend(echo), work)
    assert (solution.usage.calls, solution.usage.completion_tokens) == (1, 0)


def test_no_score_is_an_error_of_the_server() -> None:
    async def work(run: Run) -> None:
        with pytest.raises(InvalidResponse, match="no log-probabilities"):
            await run.score("ask", "one", start=3)

    within(ScriptedBackend(echo), work)


def test_calls_are_traced_under_their_role() -> None:
    records: list[dict[str, Any]] = []

    async def work(run: Run) -> None:
        await run.extend("ask", "so far", role="draft")
        await run.score("ask", "so far", role="target")

    strategy = Work(work=work)
    virtual_run(
        lambda: tts.solve("q", strategy, model=ScriptedBackend(echo), trace=Trace(records.append))
    )
    calls = [record["role"] for record in records if record["event"] == "call"]
    assert calls == ["draft", "target"]


def test_a_text_of_several_writers_becomes_one_candidate() -> None:
    text = JointText(sample=3)
    first = completion("7 + 1 = ", prompt_tokens=5).model_copy(update={"finish_reason": "length"})
    text.add("draft", first)
    assert text.answer(Problem(text="q")) is None
    last = Completion(text="8\nAnswer: 8", usage=Usage(completion_tokens=3), model="large")
    text.add("target", last)

    async def work(run: Run) -> None:
        candidate = run.propose(text.completion, ticket=text.sample)
        assert (candidate.ticket, candidate.answer) == (3, "8")

    solution = within(ScriptedBackend(echo), work)
    (candidate,) = solution.candidates
    assert candidate.text == "7 + 1 = 8\nAnswer: 8"
    assert candidate.completion.model == "scripted+large"
    assert candidate.completion.usage == Usage(prompt_tokens=5, completion_tokens=7)
    assert text.tokens == {"draft": 4, "target": 3}


def test_tokens_may_leave_out_the_spaces_between_them() -> None:
    entries = tuple(TokenLogprob(token=one, logprob=-0.1) for one in ("a", " b", "c"))

    def said(request: Request) -> Completion:
        return completion("x")

    class Scoring(ScriptedBackend):
        async def generate(self, request: Request, meter: Any) -> Completion:
            done = await super().generate(request, meter)
            return done.model_copy(update={"logprobs": entries})

    async def work(run: Run) -> None:
        found = await run.score("ask", "a b  c", start=2)
        assert [entry.token for entry in found] == ["c"]  # " b" begins before

    within(Scoring(said), work)


def test_a_split_character_that_is_known_moves_no_later_token() -> None:
    # "é" in two tokens; the "a" after it must not be looked for beyond the next "a".
    tokens = ("\ufffd", "\ufffd", "a", "b", "a")

    class Scoring(ScriptedBackend):
        async def generate(self, request: Request, meter: Any) -> Completion:
            done = await super().generate(request, meter)
            entries = tuple(TokenLogprob(token=one, logprob=-0.1) for one in tokens)
            return done.model_copy(update={"logprobs": entries})

    async def work(run: Run) -> None:
        for start, count in [(0, 5), (1, 3), (2, 2), (3, 1)]:
            assert len(await run.score("ask", "éaba", start=start)) == count

    within(Scoring(lambda request: completion("x")), work)
