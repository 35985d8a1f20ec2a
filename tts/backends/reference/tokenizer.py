"""The bundled model's tokenizer: words, single digits and bytes, over a Hugging Face file.

A word has one id wherever it stands: the text is given a leading space and every line that is
not empty another, so a word at a line's start and one inside a line are the same piece. Decoding
takes these spaces away again, so nothing is lost: `decode(encode(text)) == text` for any text.
Only cutting a sequence between the bytes of one character yields replacement characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tokenizers import Regex, decoders, normalizers, pre_tokenizers
from tokenizers import Tokenizer as HuggingFaceTokenizer

__all__ = ["Tokenizer", "pipeline"]

_WORDS = r"\n| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s"
_CACHE = 4096


def pipeline(inner: HuggingFaceTokenizer) -> None:
    """Give a tokenizer the splitting and joining of this module, which its file then keeps."""
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend(" "), normalizers.Replace(Regex(r"\n(?=[^\n])"), "\n ")]
    )
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.Sequence(
        [
            decoders.ByteLevel(),
            decoders.Replace(Regex(r"\n (?=[^\n])"), "\n"),
            decoders.Strip(" ", 1, 0),
        ]
    )


class Tokenizer:
    """Turns text into ids and back.

    Args:
        path: A `tokenizer.json` whose vocabulary holds all bytes.
    """

    def __init__(self, path: Path) -> None:
        self._inner = HuggingFaceTokenizer.from_file(str(path))
        pipeline(self._inner)
        added = self._inner.get_added_tokens_decoder()
        self._controls = {token.content: identity for identity, token in added.items()}
        # A text that spells a control token must stay text.
        self._inner.encode_special_tokens = True
        self._cached = lru_cache(maxsize=_CACHE)(self._ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._inner.encode(text, add_special_tokens=False).ids)

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return self._inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; never those of control tokens."""
        return list(self._cached(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; control tokens have none."""
        return self._inner.decode(list(ids), skip_special_tokens=True)

    def special(self, name: str) -> int:
        """Return the id of a control token such as `<|end|>`.

        Raises:
            KeyError: If there is none of this name.
        """
        return self._controls[name]

    def vocabulary(self) -> dict[str, int]:
        """Return every token's id by its byte-level spelling."""
        return self._inner.get_vocab()
