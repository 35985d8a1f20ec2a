"""Fakes for tests of strategies, rules and pipelines: no mock, no network, no waiting.

`ScriptedBackend` answers from a list or a function, `SpeakingBackend` streams its answers,
`FlakyBackend` fails on a script, `virtual_run` runs a coroutine on a clock that jumps over every
wait.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import anyio

from tts.backends.base import Backend, Capabilities, Meter, Price
from tts.errors import BackendUnavailable
from tts.layers import Layer
from tts.messages import Completion, Request, TokenLogprob, Usage
from tts.problem import Candidate

__all__ = [
    "FlakyBackend",
    "ScriptedBackend",
    "SpeakingBackend",
    "candidate",
    "completion",
    "virtual_run",
]

_T = TypeVar("_T")


def completion(text: str, *, logprob: float | None = None, prompt_tokens: int = 0) -> Completion:
    """Return a completion whose tokens are its words.

    Args:
        text: The text.
        logprob: Log-probability of every token; None leaves them out.
        prompt_tokens: Tokens of the prompt it answers.
    """
    words = text.split()
    return Completion(
        text=text,
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=len(words)),
        logprobs=None
        if logprob is None
        else tuple(TokenLogprob(token=word, logprob=logprob) for word in words),
        model="scripted",
    )


def candidate(answer: str | None, *, ticket: int = 0, logprob: float | None = None) -> Candidate:
    """Return a candidate with that answer; None abstains."""
    text = "no answer" if answer is None else f"Answer: {answer}"
    return Candidate(ticket=ticket, completion=completion(text, logprob=logprob), answer=answer)


class ScriptedBackend:
    """A model that says what it is told to; tokens are words.

    Args:
        script: The answers in order of the calls (past the end, a `LookupError`), or a function
            from a request to its answer: a text, which `max_tokens` cuts, or a whole completion,
            which is passed on as it is.
        latency: Seconds a call takes, or a function from a request to them.
        capabilities: What it claims to do; everything by default.
        price: Its price; free by default, None is unknown.

    Attributes:
        requests: Every request, in order of arrival.
        active: Calls under way.
        most_active: The most that were ever under way at once.
    """

    def __init__(
        self,
        script: Iterable[str | Completion] | Callable[[Request], str | Completion],
        *,
        latency: float | Callable[[Request], float] = 0.0,
        capabilities: Capabilities | None = None,
        price: Price | None = Price(input=0.0, output=0.0),  # noqa: B008  # frozen
    ) -> None:
        self.name = "scripted"
        self.capabilities = capabilities or Capabilities(
            seed=True, logprobs=True, top_logprobs=20, score=True, fork=True, prefill=True
        )
        self.price = price
        self.requests: list[Request] = []
        self.active = self.most_active = 0
        self._answer = script if callable(script) else _reader(script)
        self._latency = latency if callable(latency) else lambda request: latency

    def prompt_tokens(self, request: Request) -> int:
        """Return the words of all messages and of the given text."""
        texts = [message.content for message in request.messages]
        return sum(len(text.split()) for text in [*texts, request.given or ""])

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer from the script."""
        self.requests.append(request)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            meter.prompt_tokens = self.prompt_tokens(request)
            seconds = self._latency(request)
            if seconds:
                await anyio.sleep(seconds)
            answer = self._answer(request) if request.given is None else request.given
        finally:
            self.active -= 1
        said = _said(answer, request) if isinstance(answer, str) else answer
        usage = said.usage
        if usage.prompt_tokens == 0:
            usage = usage.model_copy(update={"prompt_tokens": meter.prompt_tokens})
        meter.settle(usage)
        meter.hear(said.text)
        return said.model_copy(update={"usage": usage})


def _said(text: str, request: Request) -> Completion:
    """Return the text as this request gets it: cut at `max_tokens`, every token as likely."""
    words = text.split()
    if request.given is None and len(words) > request.max_tokens:
        cut = _said(" ".join(words[: request.max_tokens]), request)
        return cut.model_copy(update={"finish_reason": "length"})
    tokens = tuple(
        TokenLogprob(token=word, logprob=-0.5, top=((word, -0.5),) if request.top_logprobs else ())
        for word in words
    )
    is_asked = request.logprobs or request.top_logprobs or request.given is not None
    return Completion(
        text=text,
        usage=Usage(completion_tokens=len(words) if request.given is None else 0),
        logprobs=tokens if is_asked else None,
        model="scripted",
    )


def _reader(script: Iterable[str | Completion]) -> Callable[[Request], str | Completion]:
    answers = iter(script)

    def answer(request: Request) -> str | Completion:
        for text in answers:
            return text
        raise LookupError(f"the script has no answer left for role {request.role!r}")

    return answer


class SpeakingBackend:
    """A model that streams: each role has its own lines, said piece by piece.

    Args:
        lines: By role, the answers in order of the calls: texts, or texts in pieces. The last one
            is said again and again.
        pause: Seconds before each piece.
        dies_after: By role, the pieces after which a call fails.
        error: What it then fails with.

    Attributes:
        requests: Every request, in order of arrival.
        spoken: Every piece that was said.
        active: Calls under way.
    """

    def __init__(
        self,
        lines: Mapping[str, Iterable[str | Sequence[str]]],
        *,
        pause: float = 0.0,
        dies_after: Mapping[str, int] | None = None,
        error: Callable[[], Exception] = lambda: BackendUnavailable("gone"),
    ) -> None:
        self.name = "speaking"
        self.capabilities = Capabilities(seed=True, stream=True)
        self.price: Price | None = Price(input=0.0, output=0.0)
        self._lines = {role: list(said) for role, said in lines.items()}
        self._pause, self._dies_after, self._error = pause, dies_after or {}, error
        self.requests: list[Request] = []
        self.spoken: list[str] = []
        self.active = 0

    def prompt_tokens(self, request: Request) -> int:
        """Return the words of all messages."""
        return sum(len(message.content.split()) for message in request.messages)

    def asked(self, role: str) -> list[str]:
        """Return the prompts of a role."""
        return [one.messages[-1].content for one in self.requests if one.role == role]

    def _next(self, role: str) -> Sequence[str]:
        script = self._lines.get(role) or ["nothing to say"]
        line = script.pop(0) if len(script) > 1 else script[0]
        return [line] if isinstance(line, str) else line

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Say the role's next line.

        Raises:
            BackendError: If it dies of it.
        """
        self.requests.append(request)
        meter.start()
        meter.prompt_tokens = self.prompt_tokens(request)
        self.active += 1
        try:
            return await self._say(request, meter)
        finally:
            self.active -= 1

    async def _say(self, request: Request, meter: Meter) -> Completion:
        said: list[str] = []
        for number, piece in enumerate(self._next(request.role)):
            if number == self._dies_after.get(request.role):
                raise self._error()
            await anyio.sleep(self._pause)
            said.append(piece)
            self.spoken.append(piece)
            meter.completion_tokens += max(1, len(piece.split()))
            meter.hear(piece)
        usage = Usage(prompt_tokens=meter.prompt_tokens, completion_tokens=meter.completion_tokens)
        return Completion(text="".join(said), usage=usage, model=self.name)


class FlakyBackend(Layer):
    """A backend that fails some calls.

    Args:
        inner: Answers the others.
        fails: Says whether a request fails.
        error: The error of a failing call.
    """

    def __init__(
        self,
        inner: Backend,
        fails: Callable[[Request], bool],
        error: Callable[[], Exception] = lambda: BackendUnavailable("the server is down"),
    ) -> None:
        super().__init__(inner)
        self._fails, self._error = fails, error

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Fail, or pass the request on."""
        if self._fails(request):
            raise self._error()
        return await self.inner.generate(request, meter)


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves its clock on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("deadlock: every task waits, and nothing is scheduled")
        if not ready and timeout:
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtual_run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine function on virtual time: `anyio.sleep(3600)` returns at once.

    For code without threads and sockets; real events would arrive in no virtual time at all.

    Raises:
        RuntimeError: If all tasks wait for one another: a deadlock ends the test, not the day.
    """
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main())
