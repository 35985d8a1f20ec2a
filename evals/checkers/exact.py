"""Texts that must be the same."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Final, Literal

from tts.answers import canonical
from tts.evals.checkers.base import Checker

if TYPE_CHECKING:
    from tts.evals.tasks.base import Example

__all__ = ["Exact", "blank", "plain_words"]

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


class Exact(Checker, name="exact"):
    """The same text, by default without regard to case, spacing, Markdown and full stops."""

    reads_text = False

    by: Literal["canonical", "words", "characters"] = "canonical"
    """What is compared: the key under which votes count, which also reads numbers; words without
    case, punctuation and articles; or every character but blanks around."""

    def misfit(self, example: Example) -> str | None:
        """Refuse a right answer that says nothing."""
        return blank(example)

    async def check(self, answer: str | None, text: str, example: Example) -> bool:
        """Compare the texts."""
        if answer is None:
            return False
        if self.by == "words":
            return plain_words(answer) == plain_words(example.answer)
        if self.by == "characters":
            return answer.strip() == example.answer.strip()
        return canonical(answer) == canonical(example.answer)


def blank(example: Example) -> str | None:
    """Return that the right answer is empty, if it is: no answer that was given can be that."""
    if example.answer.strip():
        return None
    return "the right answer is empty; leave out the line, or write what is to be answered"


def plain_words(text: str) -> str:
    """Return the words in lower case, without punctuation and the articles a, an, the.

    Source: the normalisation of SQuAD and HotpotQA, `evaluate-v1.1.py`.

    >>> plain_words("The  Silence of the Lambs.")
    'silence of lambs'
    """
    return " ".join(_ARTICLES.sub(" ", text.casefold().translate(_PUNCTUATION)).split())
