"""Claims of the tokenizer, on a small one built here."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, pre_tokenizers, trainers

from tts.backends.reference.tokenizer import Tokenizer, pipeline

WORDS = ["How", "many", "keys", "are", "there", "Answer", "boxes"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    inner = HuggingFaceTokenizer(models.BPE())
    pipeline(inner)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|pad|>", "<|user|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([" ".join(WORDS)] * 5 + WORDS * 5, trainer)
    path: Path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    inner.save(str(path))
    return Tokenizer(path)


@given(text=st.text())
def test_decoding_undoes_encoding(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(
    text=st.lists(
        st.sampled_from(["<|end|>", "<|user|>", "<|", "|>", "end", " ", "\n", "keys", "7"])
    ).map("".join)
)
def test_no_text_yields_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    controls = {tokenizer.special(name) for name in ("<|pad|>", "<|user|>", "<|end|>")}
    ids = tokenizer.encode(text)
    assert not controls & set(ids)
    assert tokenizer.decode(ids) == text


def test_a_word_has_one_id_at_a_line_start_and_inside_a_line(tokenizer: Tokenizer) -> None:
    (word,) = tokenizer.encode("keys")
    assert tokenizer.encode("keys\nkeys keys\n\nkeys").count(word) == 4


def test_every_digit_is_a_token(tokenizer: Tokenizer) -> None:
    pieces = [tokenizer.decode([identity]) for identity in tokenizer.encode("boxes 4711")]
    assert [piece for piece in pieces if piece.isdigit()] == ["4", "7", "1", "1"]


@given(
    head=st.lists(st.sampled_from([*WORDS, "12", "?", "\n"])).map(" ".join),
    tail=st.lists(st.sampled_from([*WORDS, "12", "?", "\n"])).map(" ".join),
)
def test_a_line_end_separates_texts(tokenizer: Tokenizer, head: str, tail: str) -> None:
    ids = tokenizer.encode(head + "\n\n" + tail)
    prefix = tokenizer.encode(head + "\n")
    assert not head or ids[: len(prefix)] == prefix


def test_control_tokens_have_no_text(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.special("<|user|>"), *tokenizer.encode("keys"), tokenizer.special("<|end|>")]
    assert tokenizer.decode(ids) == "keys"


def test_an_unknown_control_token_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(KeyError):
        tokenizer.special("<|nothing|>")
