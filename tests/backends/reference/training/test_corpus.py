"""Packing: every branch reads like a conversation of its own, and only responses are learned."""

import random
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training.corpus import Batch, Corpus, Shape
from tts.backends.reference.training.export import carried_over
from tts.backends.reference.training.roles import ROLES
from tts.backends.reference.training.vocabulary import CONTROLS, build, words
from tts.backends.reference.training.world import draw_problem

SHAPE = Shape(2, 320, (1, 2, 3, 4, 5, 6))
SEEDS = st.integers(0, 10**6)


@cache
def built() -> Tokenizer:
    path = Path(mkdtemp()) / "tokenizer.json"
    build(path)
    return Tokenizer(path)


@cache
def batch_of(seed: int) -> Batch:
    return Corpus(built(), "train", seed).batch(3, SHAPE)


def branches(batch: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return of every branch where its problem and where itself stands, as masks of a row."""
    found = []
    for row, (documents, ids) in enumerate(zip(batch.documents, batch.branches, strict=True)):
        for document in range(1, documents.max() + 1):
            shared = (documents == document) & (ids == 0)
            for branch in range(1, ids[documents == document].max() + 1):
                own = (documents == document) & (ids == branch)
                found.append((row, shared, own))
    return [(row * np.ones(1, int), np.stack([shared, own])) for row, shared, own in found]


@given(seed=SEEDS)
def test_a_branch_reads_like_a_conversation_of_its_own(seed: int) -> None:
    tokenizer, batch = built(), batch_of(seed)
    user, assistant, end = map(tokenizer.special, ("<|user|>", "<|assistant|>", "<|end|>"))
    for row, (shared, own) in branches(batch):
        whole = batch.tokens[row[0]][shared | own].tolist()
        split = whole.index(assistant)
        assert (whole[0], whole[split - 1], whole[-1]) == (user, end, end)
        # The prompt is what the tokenizer makes of its text in one go.
        assert tokenizer.encode(tokenizer.decode(whole[1 : split - 1])) == whole[1 : split - 1]
        positions = batch.positions[row[0]][shared | own]
        assert positions.tolist() == list(range(len(whole)))


@given(seed=SEEDS)
def test_only_responses_are_learned_and_the_problem_a_little(seed: int) -> None:
    tokenizer, batch = built(), batch_of(seed)
    assistant = tokenizer.special("<|assistant|>")
    for row, (shared, own) in branches(batch):
        tokens, weights = (each[row[0]][own].tolist() for each in (batch.tokens, batch.weights))
        start = tokens.index(assistant) + 1
        assert set(weights[:start]) == {0.0}
        assert set(weights[start:]) <= {0.0, 1.0}
        assert weights[-1] == 1.0
        assert batch.weights[row[0]][shared].max() <= 0.05


@given(seed=SEEDS)
def test_padding_is_last_and_weighs_nothing(seed: int) -> None:
    batch = batch_of(seed)
    padding = batch.documents == 0
    assert not batch.weights[padding].any()
    assert not batch.tokens[padding].any()
    assert not np.any(np.diff(padding.astype(int), axis=1) < 0)
    assert batch.tokens.shape == (SHAPE.rows, SHAPE.width)


@given(seed=SEEDS)
def test_a_token_is_its_own_first_choice_and_others_stand_at_learned_places(seed: int) -> None:
    batch = batch_of(seed)
    present = batch.documents > 0
    assert np.array_equal(batch.choices[..., 0][present], batch.tokens[present])
    several = batch.choices[..., 1] >= 0
    assert np.all(batch.weights[several] == 1.0)


def test_a_batch_is_a_function_of_seed_and_index() -> None:
    one, two = (Corpus(built(), "train", 5).batch(9, SHAPE) for _ in range(2))
    other = Corpus(built(), "train", 5).batch(10, SHAPE)
    assert all(np.array_equal(*each) for each in zip(one, two, strict=True))
    assert not np.array_equal(one.tokens, other.tokens)


@pytest.mark.parametrize("name", ROLES)
def test_pieces_join_to_the_text_the_model_would_write(name: str) -> None:
    tokenizer, rng = built(), random.Random(4)
    problem = draw_problem(rng, 4, "sentences", "train")
    made = ROLES[name][0](problem, rng)
    ids = Corpus(tokenizer, "train", 0).encode(made, problem.text).ids
    response = ids[ids.index(tokenizer.special("<|assistant|>")) + 1 : -1]
    if not any(piece.control for piece in made.pieces):
        assert tokenizer.encode(tokenizer.decode(response)) == response


def test_a_prompt_without_its_problem_is_refused() -> None:
    rng = random.Random(4)
    made = ROLES["solve"][0](draw_problem(rng, 2, "facts", "train"), rng)
    with pytest.raises(ValueError, match="begin"):
        Corpus(built(), "train", 0).encode(made, "Another problem")


def test_every_word_of_the_world_is_a_token() -> None:
    tokenizer = built()
    assert tokenizer.vocab_size <= 1024
    assert [word for word in words(1) if len(tokenizer.encode(word)) != 1] == []
    assert [tokenizer.special(name) for name in CONTROLS] == list(range(len(CONTROLS)))


def test_embeddings_follow_their_words_to_another_vocabulary() -> None:
    tokenizer = built()
    rows = np.random.default_rng(0).normal(size=(tokenizer.vocab_size, 4))
    assert np.array_equal(carried_over(rows, tokenizer, tokenizer, CONTROLS), rows)
