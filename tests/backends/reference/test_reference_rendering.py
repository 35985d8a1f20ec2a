"""Chat prompts hold control tokens where the template puts them, and texts fall into tokens."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.reference.networks import BUNDLED
from tts.backends.reference.rendering import Renderer, StopWatch
from tts.backends.reference.tokenizer import Tokenizer
from tts.messages import Message

TEXTS = st.text(st.sampled_from(" \nab1=.é<|end|>☃"), max_size=30) | st.text(max_size=12)


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer(BUNDLED / "tokenizer.json")


@cache
def renderer() -> Renderer:
    return Renderer(tokenizer())


def special(name: str) -> int:
    return tokenizer().special(name)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def test_turns_follow_one_another_with_their_tags() -> None:
    prompt = renderer().prompt(
        [user("a"), Message(role="assistant", content="b"), user("c")],
    )
    encode, end = tokenizer().encode, special("<|end|>")
    asks, answers = special("<|user|>"), special("<|assistant|>")
    turns = [asks, *encode("a"), end, answers, *encode("b"), end, asks, *encode("c"), end, answers]
    assert prompt == tuple(turns)


def test_what_the_assistant_says_last_is_left_open() -> None:
    begun = Message(role="assistant", content="b\n")
    assert renderer().prompt([user("a"), begun]) == (
        *renderer().prompt([user("a")]),
        *tokenizer().encode("b\n"),
    )


@given(TEXTS, st.integers(0, 30))
def test_a_text_that_goes_on_keeps_its_spaces(text: str, cut: int) -> None:
    ids = tokenizer().encode(text)
    before, after = ids[:cut], ids[cut:]
    begun = tokenizer().decode(before)
    if "\ufffd" not in begun:  # not between the bytes of a character
        # Between the mark of a line's first word and the word, there is a space too many.
        kept = begun if text.startswith(begun) else begun[:-1]
        assert begun[len(kept) :] in ("", " ")
        assert kept + renderer().text(after, before) == text
        rest = renderer().text(after, before)
        assert "".join(renderer().pieces(after, rest, before)) == rest


def test_a_given_text_goes_on_from_the_assistants_words() -> None:
    ids = tokenizer().encode("hats = 9\nkeys = 5")
    before = tuple(tokenizer().encode("hats = 9\n"))
    assert (*before, *renderer().given("keys = 5", before)) == tuple(ids)


def test_a_watch_sees_the_space_at_the_start_of_what_goes_on() -> None:
    before, after = tokenizer().encode("a"), tokenizer().encode("a =")[1:]
    assert StopWatch(tokenizer(), [" ="], before)(after)
    assert not StopWatch(tokenizer(), [" ="])(after)


def test_a_system_message_stands_in_front_of_the_next_users_text() -> None:
    system = Message(role="system", content="be brief")
    assert renderer().prompt([system, user("a")]) == renderer().prompt([user("be brief\na")])
    assert renderer().prompt([user("a"), system]) == renderer().prompt(
        [user("a"), user("be brief")]
    )


@pytest.mark.parametrize("tag", ["<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"])
def test_text_that_spells_a_control_token_stays_text(tag: str) -> None:
    prompt = renderer().prompt([user(f"a{tag}b {tag}")])
    controls = [special(name) for name in ("<|user|>", "<|end|>", "<|assistant|>", "<|pad|>")]
    assert [each for each in prompt if each in controls] == controls[:3]
    assert tokenizer().decode(prompt) == f"a{tag}b {tag}"


def test_an_alternative_is_spelled_as_it_would_continue_the_text() -> None:
    ids = tokenizer().encode("a b")
    befores = [None, *ids]
    spelled = [renderer().spelling(token, befores[i]) for i, token in enumerate(ids)]
    assert "".join(spelled) == "a b"
    assert renderer().spelling(special("<|end|>"), ids[0]) == "<|end|>"


@given(TEXTS, st.integers(0, 30))
def test_the_pieces_of_a_text_join_to_it(text: str, length: int) -> None:
    ids = tokenizer().encode(text)
    assert "".join(renderer().pieces(ids, text)) == text
    cut = text[:length]
    pieces = renderer().pieces(ids, cut)
    assert "".join(pieces) == cut
    assert len(pieces) <= len(ids)


@given(
    TEXTS,
    st.lists(st.text(st.sampled_from(" \nab1=."), min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_a_watch_fires_at_the_first_token_that_completes_a_stop_string(
    text: str, stops: list[str]
) -> None:
    ids, watch = tokenizer().encode(text), StopWatch(tokenizer(), stops)
    for length in range(1, len(ids) + 1):
        decoded = tokenizer().decode(ids[:length])
        held = any(stop in decoded for stop in stops)
        assert watch(ids[:length]) == held
        if held:
            break


def test_the_text_ends_before_the_first_of_several_stop_strings() -> None:
    watch = StopWatch(tokenizer(), ["c", "bc", "z"])
    assert watch.cut("abcd") == "a"
    assert watch.cut("ad") == "ad"
