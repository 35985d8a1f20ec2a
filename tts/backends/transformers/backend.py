"""A local model of transformers as a `Backend`; needs torch."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer

from tts.backends.base import Capabilities, Meter, Price
from tts.backends.reference.engine import Row, TokenIds
from tts.backends.reference.sampling import Settings
from tts.backends.reference.scheduler import Scheduler
from tts.backends.transformers.engine import BatchEngine
from tts.errors import ConfigError, ContextLengthExceeded
from tts.messages import Completion, Message, Request, TokenLogprob, Usage

__all__ = ["TransformersBackend"]

_PROMPTS = 1024
"""Prompts whose ids are remembered."""
_TOPS = 20
_SEEDS = 1 << 64


class TransformersBackend:
    """Completes requests with a causal model of transformers, in this process.

    Args:
        model: Folder of the model, or its name on the Hugging Face hub.
        download: Whether a name may be fetched from the hub.
        device: Where it runs: cpu, cuda, mps.
        dtype: Of its weights: auto, float32, bfloat16, float16.
        max_batch: Most requests decoded together.

    Raises:
        ConfigError: If the model cannot be loaded.
    """

    def __init__(
        self, model: str, *, download: bool, device: str, dtype: str, max_batch: int
    ) -> None:
        try:
            local = {"local_files_only": not download}
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model, **local)
            network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, **local)
            self._model = network.to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"cannot load the model {model}: {reason}") from error
        self.name = Path(model).name
        config = self._model.config
        context = getattr(config, "max_position_embeddings", None)
        self.capabilities = Capabilities(
            seed=True,
            logprobs=True,
            top_logprobs=_TOPS,
            score=True,
            fork=True,
            stream=True,
            prefill=True,
            context=context,
        )
        self.price = Price(input=0.0, output=0.0)
        self._ends = _ends(self._tokenizer, self._model)
        self._prompt = lru_cache(maxsize=_PROMPTS)(self._encoded)
        self._scheduler = Scheduler(lambda: BatchEngine(self._model, max_batch=max_batch))

    def prompt_tokens(self, request: Request) -> int:
        """Return the prompt's tokens, and those of a given text."""
        return len(self._prompt(request.messages)) + len(self._given(request) or ())

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Complete one request.

        Args:
            request: What is asked; `max_tokens` is cut to what the context leaves.
            meter: Advanced while tokens are decoded; the end token counts.

        Raises:
            BackendError: If the network failed.
            ConfigError: If the model's chat template refuses the messages.
            ContextLengthExceeded: If the prompt leaves no room.
        """
        if request.json_schema is not None:
            raise ConfigError(f"{self.name} has no 'json_schema': ask another model")
        row = self._row(request)
        told = _Told(self, request, meter)
        await self._scheduler.run(row, lambda: told.advance(row))
        completion = self._completion(request, row, meter.usage)
        told.end(completion.text)
        return completion

    def _encoded(self, messages: tuple[Message, ...]) -> TokenIds:
        if self._tokenizer.chat_template is None:
            return self._ids("\n\n".join(message.content for message in messages), special=True)
        continues = messages[-1].role == "assistant"
        try:
            text = self._tokenizer.apply_chat_template(
                [{"role": each.role, "content": each.content} for each in messages],
                tokenize=False,
                add_generation_prompt=not continues,
                continue_final_message=continues,
            )
        except (TemplateError, ValueError) as error:
            raise ConfigError(f"{self.name}: its chat template refuses: {error}") from error
        return self._ids(text)

    def _ids(self, text: str, *, special: bool = False) -> TokenIds:
        return tuple(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    def _given(self, request: Request) -> TokenIds | None:
        return None if request.given is None else self._ids(request.given)

    def _row(self, request: Request) -> Row:
        prompt, given = self._prompt(request.messages), self._given(request)
        context = self.capabilities.context
        room = request.max_tokens if context is None else context - len(prompt)
        if room < (1 if given is None else len(given)):
            raise ContextLengthExceeded(
                f"{self.name}: prompt of {len(prompt)} tokens leaves no room in {context}"
            )
        return Row(
            prompt=prompt,
            settings=Settings(request.temperature, request.top_p, request.top_k),
            seed=secrets.randbits(31) if request.seed is None else request.seed % _SEEDS,
            limit=min(request.max_tokens, room),
            stops=self._ends,
            tops=request.top_logprobs,
            given=given,
            watch=(lambda tokens: self.cut(tokens, request.stop)[1]) if request.stop else None,
        )

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; special ones have none."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def cut(self, tokens: Sequence[int], stops: Sequence[str]) -> tuple[str, bool]:
        """Return the text of tokens before the first stop string, and whether there is one."""
        text = self.decode(tokens)
        found = [place for stop in stops if (place := text.find(stop)) >= 0]
        return text[: min(found, default=len(text))], bool(found)

    def _completion(self, request: Request, row: Row, usage: Usage) -> Completion:
        tokens = row.tokens
        if row.given is None and tokens[-1] in self._ends:
            tokens = tokens[:-1]
        text = request.given
        if text is None:
            text = self.cut(tokens, request.stop)[0]
        return Completion(
            text=text,
            finish_reason=row.finish or "stop",
            usage=usage,
            logprobs=self._logprobs(request, row, tokens, text),
            model=self.name,
        )

    def _logprobs(
        self, request: Request, row: Row, tokens: Sequence[int], text: str
    ) -> tuple[TokenLogprob, ...] | None:
        if not (request.logprobs or request.top_logprobs or request.given is not None):
            return None
        ends = [len(self.decode(tokens[:count])) for count in range(len(tokens) + 1)]
        entries = []
        for index in range(len(tokens)):
            start, end = ends[index], ends[index + 1]
            if start >= len(text) and text:
                break  # tokens of a stop string are no part of the text
            tops = row.alternatives[index] if row.alternatives else []
            entries.append(
                TokenLogprob(
                    token=text[start:end],
                    logprob=row.logprobs[index],
                    top=tuple((self.decode([token]), logprob) for token, logprob in tops),
                )
            )
        return tuple(entries)


class _Told:
    """What of a text was heard; what may still become a stop string is held back."""

    def __init__(self, backend: TransformersBackend, request: Request, meter: Meter) -> None:
        self._backend, self._request, self._meter = backend, request, meter
        self._length = 0
        self._held = max(map(len, request.stop), default=1) - 1

    def advance(self, row: Row) -> None:
        """Charge what the row has used, and pass on what is certain of its text."""
        if not row.admitted:
            return
        given = len(row.given or ())
        self._meter.started = True
        self._meter.prompt_tokens = len(row.prompt) + given
        self._meter.completion_tokens = len(row.tokens) - given
        if self._meter.listener is not None and row.given is None:
            text = self._backend.cut(row.tokens, self._request.stop)[0]
            # A character over several tokens decodes to a replacement until it is whole.
            self._hear(text[: len(text) - self._held].rstrip("\ufffd"))

    def end(self, text: str) -> None:
        """Pass on the rest."""
        self._hear(text)

    def _hear(self, text: str) -> None:
        piece = text[self._length :]
        if piece:
            self._length = len(text)
            self._meter.hear(piece)


def _ends(tokenizer: Any, model: Any) -> frozenset[int]:
    """Return the tokens that end a text."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    return frozenset(each for each in (*several, tokenizer.eos_token_id) if isinstance(each, int))
