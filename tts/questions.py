"""Which of several sub-problems is the problem's own question."""

from __future__ import annotations

import re

__all__ = ["restates"]

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\w)[^.!?\n]*)*[.!?]*")
_WORD = re.compile(r"\w+")
_PLAIN = frozenset(
    _WORD.findall(
        """
    a all altogether an and answer any are as at be been by calculate can compute could determine
    did do does end find for from give given had has have he her here him his how i if in into is
    it its many me more much must my now number of on or our problem question s she should so
    solve some task than that the their them then there these they this those to was we were what
    when where which who whom whose why will with would you your
        """
    )
)
_LONGEST_ENDING = 3


def restates(text: str, problem: str) -> bool:
    """Return whether a sub-problem asks what the problem asks.

    It does if each word that carries meaning in the question stands in it, whatever its ending. The
    question is what ends in a question mark, else the last sentence. Where nothing can be told, as
    in languages other than English, the answer is no.

    >>> problem = "A pear costs 3, a plum 5. Ann buys 4 pears and 2 plums. What do the pears cost?"
    >>> restates("cost of all pears", problem), restates("price of a plum", problem)
    (True, False)
    """
    sentences = [sentence for sentence in _SENTENCE.findall(problem) if _WORD.search(sentence)]
    asked = [sentence for sentence in sentences if sentence.endswith("?")]
    wanted, said = _telling(" ".join(asked or sentences[-1:])), _telling(text)
    return bool(wanted) and all(any(_is_same(one, other) for other in said) for one in wanted)


def _telling(text: str) -> set[str]:
    """Return the words that carry meaning."""
    return set(_WORD.findall(text.casefold())) - _PLAIN


def _is_same(one: str, other: str) -> bool:
    """Return whether two words differ in their endings at most."""
    short, long = sorted((one, other), key=len)
    return long == short or (
        len(short) > _LONGEST_ENDING
        and long.startswith(short)
        and len(long) - len(short) <= _LONGEST_ENDING
    )
