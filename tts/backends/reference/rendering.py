"""Between messages and token ids: the chat format, the pieces of a text, and stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from tts.backends.reference.tokenizer import Tokenizer
from tts.messages import Message

__all__ = ["Renderer", "StopWatch"]


class Renderer:
    """Turns messages into prompts and ids into pieces of text.

    A prompt is `<|user|>`, the text, `<|end|>` and `<|assistant|>`; several turns follow one
    another with the same tags. What the assistant says last is left open: the model goes on with
    it. The model knows no system role, so a system message stands in front
    of the next user's text.

    Args:
        tokenizer: The model's tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids = {role: tokenizer.special(f"<|{role}|>") for role in ("user", "assistant")}
        self.end = tokenizer.special("<|end|>")
        self._controls = {identity: f"<|{role}|>" for role, identity in self._ids.items()}
        self._controls[self.end] = "<|end|>"
        self._after = lru_cache(maxsize=1 << 16)(self._piece)

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Return the ids of a conversation, up to where the model is to go on."""
        ids: list[int] = []
        before = ""
        begun = self.begun(messages)
        for message in messages[:-1] if begun else messages:
            if message.role == "system":
                before += message.content + "\n"
                continue
            ids += self._turn(message.role, before + message.content)
            before = ""
        if before:
            ids += self._turn("user", before[:-1])
        return (*ids, self._ids["assistant"], *begun)

    def begun(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Return the ids of the assistant's words with which a conversation ends, if it does."""
        last = messages[-1]
        return tuple(self._tokenizer.encode(last.content)) if last.role == "assistant" else ()

    def text(self, ids: Sequence[int], before: Sequence[int] = ()) -> str:
        """Return what ids add to a text; alone, they would lose the space at their beginning."""
        return _added(self._tokenizer, ids, before)

    def given(self, text: str, before: tuple[int, ...]) -> tuple[int, ...]:
        """Return the ids of a text that goes on from others; of its own where a word is cut."""
        start = len(before)
        whole = self._tokenizer.encode(self._tokenizer.decode(before) + text)
        return tuple(whole[start:] if whole[:start] == [*before] else self._tokenizer.encode(text))

    def _turn(self, role: str, text: str) -> list[int]:
        return [self._ids[role], *self._tokenizer.encode(text), self.end]

    def pieces(self, ids: Sequence[int], text: str, before: Sequence[int] = ()) -> list[str]:
        """Cut a text into what each of its tokens adds.

        Args:
            ids: Tokens whose decoding begins with the text.
            text: The text, which may end before or within the last tokens.
            before: Tokens that the text goes on from.

        Returns:
            A piece for each token that begins before the text's end; joined they are the text.
        """
        earlier = [before[-1] if before else None, *ids]
        cut = [self._after(last, each) for last, each in zip(earlier, ids, strict=False)]
        if not "".join(cut).startswith(text):
            # Characters over several tokens, or spaces that depend on more than one neighbour.
            ends = [len(self.text(ids[:i], before)) for i in range(len(ids) + 1)]
            cut = [text[start:end] for start, end in pairwise(ends)]
        kept: list[str] = []
        length = 0
        for piece in cut:
            if length >= len(text):
                break
            kept.append(piece[: len(text) - length])
            length += len(piece)
        return kept

    def spelling(self, token: int, before: int | None) -> str:
        """Return what a token would add after another; tags of the chat format are spelled out."""
        return self._controls.get(token) or self._after(before, token)

    def _piece(self, before: int | None, token: int) -> str:
        if before is None:
            return self._tokenizer.decode([token])
        alone = self._tokenizer.decode([before])
        return self._tokenizer.decode([before, token])[len(alone) :]


class StopWatch:
    """Tells whether a growing sequence of tokens contains a stop string.

    Args:
        tokenizer: Decodes the tokens.
        stops: The strings, none of them empty.
        before: Tokens that the sequence goes on from.
    """

    def __init__(
        self, tokenizer: Tokenizer, stops: Sequence[str], before: Sequence[int] = ()
    ) -> None:
        self._tokenizer, self._stops, self._before = tokenizer, stops, before
        # A token adds a byte at least, and a line's indent may be a token that adds nothing.
        self._window = 2 * max(len(stop.encode()) for stop in stops) + 2

    def __call__(self, tokens: list[int]) -> bool:
        """Return whether a stop string has appeared; called after each token."""
        tail = self._tokenizer.decode(tokens[-self._window :])
        return self._holds(" " + tail) and self._holds(
            _added(self._tokenizer, tokens, self._before)
        )

    def _holds(self, text: str) -> bool:
        return any(stop in text for stop in self._stops)

    def cut(self, text: str) -> str:
        """Return the text before the first stop string."""
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        return text[: min(found)] if found else text


def _added(tokenizer: Tokenizer, ids: Sequence[int], before: Sequence[int]) -> str:
    if not before:
        return tokenizer.decode(ids)
    whole = tokenizer.decode([*before, *ids])
    # Cut after the mark of a line's first word, what stands before shows a space that is none.
    begun = tokenizer.decode(before)
    return whole[len(begun) :] if whole.startswith(begun) else whole[len(begun) - 1 :]
