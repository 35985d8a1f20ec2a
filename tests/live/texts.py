"""Texts that tokenizers may disagree about."""

from __future__ import annotations

import random
import re

__all__ = ["awkward"]

_LETTERS = list("abcXYZ019 \n\n  \t=+-*'\"<|>.,!?()éЖ漢字🙂\u00a0\u2003\u0301µ½Ⅷ\r\x0bǅªß٣_`~^")
_WORDS = (
    *("keys", "'store", "'s", "don't", "'re", "'Really", "I'll", "hats", "A", "x1y2", "10", "3.14"),
    *("CAFÉ", "naïve", "“q”", "हिन्दी", "ﬁ", "İ", "==", "->", "…", "—", "<think1>", "<|end|>"),
)
_GLUE = ("", " ", " ", "\n", "  ", "\n\n", "\ufeff", "\u200b", "\u2028")
_BLOCKS = ((1, 0x2FF), (0x2000, 0x33FF), (0x1F000, 0x1FFFF))


def awkward(count: int, *, indented: bool = True, seed: int = 0) -> list[str]:
    """Return random texts; not indented if no line may begin with a space."""
    rng = random.Random(seed)
    texts = [rng.choice((_letters, _words, _points))(rng) for _ in range(count)]
    return texts if indented else [re.sub(r"^ +", "", text, flags=re.MULTILINE) for text in texts]


def _letters(rng: random.Random) -> str:
    return "".join(rng.choices(_LETTERS, k=rng.randint(0, 40)))


def _words(rng: random.Random) -> str:
    return "".join(rng.choice(_WORDS) + rng.choice(_GLUE) for _ in range(rng.randint(0, 20)))


def _points(rng: random.Random) -> str:
    return "".join(chr(rng.randint(*rng.choice(_BLOCKS))) for _ in range(rng.randint(0, 20)))
