from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from tts.alignment import token_starts

CHARACTERS = st.text(st.sampled_from("ab 7é日本語🙂\n"), min_size=1, max_size=12)
"""One to four bytes each, and many of them twice."""


def spelled(parts: list[bytes]) -> list[str]:
    """Return tokens as a server decodes each by itself."""
    return [part.decode(errors="replace") for part in parts]


def starts(parts: list[bytes]) -> list[int]:
    return [0, *accumulate(map(len, parts))][:-1]


@given(CHARACTERS, st.data())
def test_characters_may_be_whole_or_split_into_bytes(text: str, data: st.DataObject) -> None:
    parts = list[bytes]()
    for character in text:
        coded = character.encode()
        is_split = data.draw(st.booleans())
        parts += [coded[i : i + 1] for i in range(len(coded))] if is_split else [coded]
    assert token_starts(spelled(parts), text) == starts(parts)


@given(CHARACTERS, st.lists(st.integers(0, 60)), st.lists(st.sampled_from(["so", " it", " is"])))
def test_what_is_odd_before_a_place_moves_nothing_after_it(
    before: str, cuts: list[int], words: list[str]
) -> None:
    coded = before.encode()
    places = sorted({0, len(coded), *(cut for cut in cuts if cut < len(coded))})
    parts = [coded[begin:end] for begin, end in pairwise(places)]
    found = token_starts([*spelled(parts), *words], before + "".join(words))
    assert found[len(parts) :] == [
        len(coded) + each for each in starts([w.encode() for w in words])
    ]
    assert found == sorted(found)
    assert all(0 <= begin <= len(coded) for begin in found[: len(parts)])


@given(CHARACTERS, CHARACTERS, st.data())
def test_whole_words_stand_where_they_are_whatever_is_cut_around_them(
    first: str, last: str, data: st.DataObject
) -> None:
    text, parts = f"{first}word{last}", list[bytes]()
    for piece in (first, "word", last):
        coded = piece.encode()
        cut = 0 if piece == "word" else data.draw(st.integers(0, len(coded)))
        parts += [part for part in (coded[:cut], coded[cut:]) if part]
    found = token_starts(spelled(parts), text)
    assert found[parts.index(b"word")] == len(first.encode())


def test_empty_tokens_are_the_rest_of_the_character_before_them() -> None:
    assert token_starts(["a", "日", "", "", "b"], "a日b") == [0, 1, 1, 1, 4]
    assert token_starts(["", "日", ""], "日") == [0, 0, 0]


def test_space_may_be_left_out_of_tokens_and_nothing_else() -> None:
    assert token_starts(["a", "b", "c"], "a  b\nc ") == [0, 3, 5]
    assert token_starts(["a", "?", "c"], "a b c a") == [0, 1, 4]


@given(st.lists(st.text(max_size=3), max_size=6), st.text(max_size=9))
def test_any_tokens_have_a_place_in_any_text(tokens: list[str], text: str) -> None:
    found = token_starts(tokens, text)
    assert len(found) == len(tokens)
    assert found == sorted(found)
    assert all(0 <= begin <= len(text.encode("utf-8", "surrogatepass")) for begin in found)
