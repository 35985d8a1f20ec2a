"""Where the tokens of a text begin in it, as far as their spelling tells."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["token_starts"]

_SPLIT = "\ufffd"
"""How a part of a character that several tokens share is spelled."""


def token_starts(tokens: Sequence[str], text: str) -> list[int]:
    """Return at which byte of a text, in UTF-8, each of its tokens begins.

    Read from the end, so that what is odd before a place does not move what stands after it. A
    token whose spelling is not found where it is due is a part of a character, or is spelled
    otherwise than the text: such tokens share evenly what lies between their neighbours, at least
    a byte each. White space that tokens leave out lies between them; an empty token is the rest of
    the character before it.

    Args:
        tokens: All tokens of the text, or those at its end.
        text: The text.

    >>> token_starts(["a", "\ufffd", "\ufffd", "b"], "aéb")
    [0, 1, 2, 3]
    """
    data = text.encode("utf-8", "surrogatepass")
    starts = [0] * len(tokens)
    end, odd = len(data), list[int]()  # where what is placed begins; tokens that wait for a place
    for at in range(len(tokens) - 1, -1, -1):
        spelled = tokens[at].encode("utf-8", "surrogatepass")
        begin = _found(data, spelled, end, sum(_least(tokens[each]) for each in odd))
        if begin is None or (not spelled and at > 0):
            odd.append(at)
            continue
        _share(starts, odd, begin + len(spelled), end)
        starts[at], end, odd = begin, begin, []
    _share(starts, odd, 0, end)
    for at, token in enumerate(tokens):
        if not token and at:
            starts[at] = starts[at - 1]
    return starts


def _least(token: str) -> int:
    """Return the fewest bytes that a token out of place stands for."""
    if _SPLIT not in token:
        return min(1, len(token))
    return len(token.replace(_SPLIT, "").encode("utf-8", "surrogatepass")) + token.count(_SPLIT)


def _found(data: bytes, spelled: bytes, end: int, gap: int) -> int | None:
    """Return where a token begins that ends at least a gap before `end`; None if it does not."""
    begin = data.rfind(spelled, 0, end - gap) if end >= gap else -1
    if begin < 0:
        return None
    between = data[begin + len(spelled) : end]
    return begin if gap or not between.strip() else None


def _share(starts: list[int], odd: Sequence[int], begin: int, end: int) -> None:
    """Spread tokens, the last one first, over what lies between two others."""
    for place, at in enumerate(reversed(odd)):
        starts[at] = begin + (end - begin) * place // len(odd)
