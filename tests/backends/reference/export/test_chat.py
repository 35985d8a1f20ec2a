"""The templates that other runtimes render say what our renderer does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import normalizers

from tests.backends.reference.networks import BUNDLED
from tts.backends.reference.export.chat import PLAIN, SPACED, spaced, unspaced
from tts.backends.reference.rendering import Renderer
from tts.backends.reference.tokenizer import Tokenizer
from tts.messages import Message

FILE = str(BUNDLED / "tokenizer.json")
# As transformers sets it up.
RUNTIME = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

lines = st.text(st.sampled_from("ab keys=3 \n\t.é\u00a0字"), max_size=30)
texts = st.one_of(st.text(max_size=30), lines)
# Other runtimes read the spelling of a control token as that token; ours keeps it a text.
contents = texts.filter(lambda text: text and "<" not in text)
conversations = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=contents),
    min_size=1,
    max_size=5,
)


@cache
def ours() -> Renderer:
    return Renderer(Tokenizer(BUNDLED / "tokenizer.json"))


@cache
def without_normalizer() -> HuggingFaceTokenizer:
    inner = HuggingFaceTokenizer.from_file(FILE)
    inner.normalizer = normalizers.Sequence([])
    return inner


@cache
def as_stored() -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer.from_file(FILE)


def rendered(template: str, messages: Sequence[Message]) -> str:
    turns = [{"role": each.role, "content": each.content} for each in messages]
    return RUNTIME.from_string(template).render(messages=turns, add_generation_prompt=True)


@given(texts)
def test_spacing_is_undone(text: str) -> None:
    assert unspaced(spaced(text)) == text


@given(texts)
def test_spacing_is_what_the_tokenizer_does(text: str) -> None:
    inner = as_stored().normalizer
    assert inner is not None
    assert spaced(text) == inner.normalize_str(text)


@pytest.mark.parametrize(
    ("template", "tokenizer"), [(PLAIN, as_stored), (SPACED, without_normalizer)]
)
@given(messages=conversations)
def test_a_rendered_conversation_has_the_ids_of_ours(
    template: str, tokenizer: Callable[[], HuggingFaceTokenizer], messages: list[Message]
) -> None:
    text = rendered(template, messages)
    ids = tokenizer().encode(text, add_special_tokens=False).ids
    assert tuple(ids) == ours().prompt(messages)


def test_nothing_is_added_where_no_answer_is_asked_for() -> None:
    turn = [{"role": "user", "content": "x"}]
    for template, text in ((PLAIN, "<|user|>x<|end|>"), (SPACED, "<|user|> x<|end|>")):
        assert RUNTIME.from_string(template).render(messages=turn) == text
