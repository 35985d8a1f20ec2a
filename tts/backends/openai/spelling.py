"""OpenAI's format: chat completions and completions, whole or streamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from tts.backends.base import Capabilities
from tts.backends.formats import Answer, Call, Ear, check_said, refuse_unable
from tts.backends.functions import CallParts, Functions
from tts.backends.openai.dialects import Dialect
from tts.backends.openai.reading import (
    read_logprobs,
    read_tool_calls,
    read_usage,
    take_tool_call,
)
from tts.backends.openai.scoring import read_scores, score_fields
from tts.errors import ConfigError, InvalidResponse
from tts.messages import Request, TokenLogprob, Usage

__all__ = ["OpenAISpelling"]

_CUT = {"length", "max_tokens", "content_filter"}


class OpenAISpelling:
    """Writes requests and reads answers as a dialect of OpenAI's format.

    Args:
        model: Name of the model at the server.
        dialect: How the server differs.
        capabilities: What it can do, the caller's word included.
        endpoint: Chat, or completions of raw text: the messages' texts, a blank line apart.
    """

    def __init__(
        self,
        model: str,
        dialect: Dialect,
        capabilities: Capabilities,
        endpoint: Literal["chat", "completions"] = "chat",
    ) -> None:
        self._model, self._dialect, self._can = model, dialect, capabilities
        self._is_chat = endpoint == "chat"
        self._path = "/chat/completions" if self._is_chat else "/completions"

    def call(self, request: Request, *, stream: bool) -> Call:
        """Spell a request; see `Format`.

        Raises:
            ConfigError: If it asks for what the model cannot do.
        """
        refuse_unable(self._model, request, self._can)
        payload: dict[str, Any] = {"model": self._model}
        if request.given is not None:
            payload |= score_fields(request, is_chat=self._is_chat)
            return Call(self._path, payload)
        if self._is_chat:
            payload["messages"] = [
                {"role": message.role, "content": message.content} for message in request.messages
            ]
        else:
            payload["prompt"] = "\n\n".join(message.content for message in request.messages)
        payload |= self._sampling(request)
        continues = self._is_chat and request.messages[-1].role == "assistant"
        if continues and self._dialect.continues_by_flag:
            payload |= {"add_generation_prompt": False, "continue_final_message": True}
        if stream:
            payload |= {"stream": True, "stream_options": {"include_usage": True}}
        return Call(self._path, payload)

    def _sampling(self, request: Request) -> dict[str, Any]:
        chat = self._is_chat
        name = self._dialect.max_tokens_field if chat else "max_tokens"
        fields: dict[str, Any] = {"temperature": request.temperature, name: request.max_tokens}
        fields |= self._dialect.whole
        if request.top_p != 1.0:
            fields["top_p"] = request.top_p
        if request.top_k is not None:
            if not self._dialect.takes_top_k:
                raise ConfigError(f"{self._model}: its server knows no top_k: leave it out")
            fields["top_k"] = request.top_k
        if request.stop:
            fields["stop"] = list(request.stop)
        if request.seed is not None and self._sends_seed(request):
            fields["seed"] = request.seed
        if request.n > 1:
            fields["n"] = request.n
        if request.logprobs or request.top_logprobs:
            tops = max(request.top_logprobs, self._dialect.least_alternatives)
            fields |= {"logprobs": True, "top_logprobs": tops} if chat else {"logprobs": tops or 1}
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": json.loads(request.json_schema), "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.tools:
            offered = Functions(request.tools).offered
            fields["tools"] = [{"type": "function", "function": each} for each in offered]
        return fields

    def _sends_seed(self, request: Request) -> bool:
        """A seed must not make the draws of one request alike."""
        return self._dialect.sends_seed and (request.n == 1 or self._dialect.seeds_each_draw)

    def usage(self, value: Any) -> Usage | None:
        """Read what an answer says was used."""
        return read_usage(value.get("usage"))

    def read(self, value: Any, request: Request) -> Answer:
        """Read an answer; see `Format`."""
        if request.given is not None:
            return read_scores(value, request)
        return self.read_choice(value["choices"][0], value.get("usage"), request)

    def read_choice(self, choice: Any, usage: Any, request: Request) -> Answer:
        """Read one of an answer's choices."""
        message = choice["message"] if self._is_chat else choice
        text = message["content" if self._is_chat else "text"]
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        finish = choice.get("finish_reason")
        offered = request.tools
        calls = read_tool_calls(message.get("tool_calls"), Functions(offered)) if offered else ()
        if text is None and calls:
            text = ""
        elif text is None:
            text = message.get("refusal") or ""
            check_said(text, is_cut=finish == "length", refusal=_refusal(finish, message))
        text = text.removeprefix(self.repeated(request))
        return Answer(
            text=text,
            finish="length" if finish in _CUT else "stop",
            usage=read_usage(usage),
            logprobs=self.logprobs(read_logprobs(choice.get("logprobs")), text, request),
            reasoning=reasoning,
            tool_calls=calls,
        )

    def repeated(self, request: Request) -> str:
        """Return the words of the assistant that the server's answer will begin with."""
        last = request.messages[-1]
        is_prefill = self._is_chat and last.role == "assistant" and request.given is None
        return last.content if is_prefill and self._dialect.repeats_prefill else ""

    def teller(self, request: Request, ear: Ear) -> OpenAITeller:
        """Return what reads a stream; see `Format`."""
        return OpenAITeller(self, request, ear)

    def logprobs(
        self, found: tuple[TokenLogprob, ...] | None, text: str, request: Request
    ) -> tuple[TokenLogprob, ...] | None:
        """Return the log-probabilities as far as they were asked for.

        Raises:
            InvalidResponse: If they were, and there are none.
        """
        if not (request.logprobs or request.top_logprobs):
            return None
        if not found and text:
            raise InvalidResponse(
                f"{self._model}: log-probabilities were asked for and none came: set "
                "capabilities: {logprobs: false}"
            )
        if not request.top_logprobs:
            return tuple(
                each.model_copy(update={"top": ()}) if each.top else each for each in found or ()
            )
        return found or ()


class OpenAITeller:
    """Reads a streamed answer."""

    def __init__(self, spelling: OpenAISpelling, request: Request, ear: Ear) -> None:
        self._spelling, self._request, self._ear = spelling, request, ear
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._calls = CallParts(Functions(request.tools))
        self._usage: Any = None
        self._finish: str | None = None
        self._repeated = spelling.repeated(request)

    @property
    def is_whole(self) -> bool:
        """True once the model said why it stopped."""
        return self._finish is not None

    def read(self, event: Any) -> bool:
        """Take in a chunk; the usage comes in a last one without choices."""
        self._usage = event.get("usage") or self._usage
        for choice in event["choices"]:
            if choice.get("index", 0) == 0:
                self._take(choice)
        return False

    def _take(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or choice
        text = self._fresh(delta.get("content") or delta.get("text") or "")
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        self._text.append(text)
        self._reasoning.append(reasoning)
        self._logprobs += read_logprobs(choice.get("logprobs")) or ()
        self._finish = choice.get("finish_reason") or self._finish
        for part in delta.get("tool_calls") or () if self._request.tools else ():
            self._ear.hear(take_tool_call(part, self._calls), aloud=False)
        self._ear.hear(reasoning, aloud=False)
        self._ear.hear(text)
        self._ear.hear_calls(self._calls.whole())

    def _fresh(self, text: str) -> str:
        """Return a piece without what it repeats of the assistant's words."""
        repeated = self._repeated
        if repeated.startswith(text):
            self._repeated = repeated[len(text) :]
            return ""
        self._repeated = ""
        return text.removeprefix(repeated)

    def answer(self) -> Answer:
        """Return what was told."""
        spelling, text = self._spelling, "".join(self._text)
        reasoning = "".join(self._reasoning)
        cut = self._finish != "content_filter"  # of the others, an empty text is one
        calls = self._calls.calls
        if not calls:
            check_said(text, is_cut=cut, refusal=_refusal(self._finish, {}))
        return Answer(
            text=text,
            finish="length" if self._finish in _CUT else "stop",
            usage=read_usage(self._usage),
            logprobs=spelling.logprobs(tuple(self._logprobs), text, self._request),
            reasoning=reasoning,
            tool_calls=calls,
        )


def _refusal(finish: str | None, message: Mapping[str, Any]) -> str:
    if finish == "content_filter":
        return "content filter"
    return "it calls a tool that nobody offered" if message.get("tool_calls") else ""
