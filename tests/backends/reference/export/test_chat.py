"""The templates that other runtimes render say what our renderer does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from hypothesis import assume, given
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
).filter(lambda turns: turns[-1].role != "assistant")  # runtimes have their own ways there


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


def ids(template: str, tokenizer: HuggingFaceTokenizer, messages: Sequence[Message]) -> list[int]:
    text = rendered(template, messages)
    return tokenizer.encode(text, add_special_tokens=False).ids


@given(conversations)
def test_a_rendered_conversation_has_the_ids_of_ours(messages: list[Message]) -> None:
    assert tuple(ids(PLAIN, as_stored(), messages)) == ours().prompt(messages)


@given(conversations)
def test_for_llama_cpp_lines_lose_a_space_that_they_begin_with(messages: list[Message]) -> None:
    bare = [
        each.model_copy(update={"content": re.sub(r"^ +", "", each.content, flags=re.M)})
        for each in messages
    ]
    found = ids(SPACED, without_normalizer(), bare)
    assert tuple(found) == ours().prompt(bare)
    # What the runtime wrote has the spaces, and is asked about as if it had not; but for a text
    # that begins with an empty line, after another of the same turn.
    assume(not any(each.content.startswith("\n") for each in bare))
    written = [each.model_copy(update={"content": spaced(each.content)}) for each in bare]
    assert ids(SPACED, without_normalizer(), written) == found


def test_nothing_is_added_where_no_answer_is_asked_for() -> None:
    turn = [{"role": "user", "content": "x"}]
    for template, text in ((PLAIN, "<|user|>x<|end|>"), (SPACED, "<|user|> x<|end|>")):
        assert RUNTIME.from_string(template).render(messages=turn) == text
