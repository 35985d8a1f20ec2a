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
from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.corpus import Corpus, Shape
from tts.backends.reference.training.packing import Batch
from tts.backends.reference.training.responses import VERDICT
from tts.backends.reference.training.roles import ROLES
from tts.backends.reference.training.solutions import read
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


def ends(batch: Batch) -> list[tuple[int, int, np.ndarray]]:
    """Return every branch that no other sees, with where all that it sees stands in its row.

    A problem at a row's end for whose branches there was no room is none.
    """
    return [
        (row, branch, sees[branch][ids])
        for row, (ids, sees) in enumerate(zip(batch.branches, batch.sees, strict=True))
        for branch in range(1, ids.max() + 1)
        if sees[:, branch].sum() == 1 and sees[branch].sum() > 1
    ]


@given(seed=SEEDS)
def test_a_branch_reads_like_a_conversation_of_its_own(seed: int) -> None:
    tokenizer, batch = built(), batch_of(seed)
    user, assistant, end = map(tokenizer.special, ("<|user|>", "<|assistant|>", "<|end|>"))
    for row, _, seen in ends(batch):
        if batch.segments[row][seen].any():
            continue
        whole = batch.tokens[row][seen].tolist()
        split = whole.index(assistant)
        assert (whole[0], whole[split - 1], whole[-1]) == (user, end, end)
        # The prompt is what the tokenizer makes of its text in one go.
        assert tokenizer.encode(tokenizer.decode(whole[1 : split - 1])) == whole[1 : split - 1]
        assert batch.positions[row][seen].tolist() == list(range(len(whole)))


def test_a_summary_goes_on_where_the_longest_path_ends() -> None:
    summary = built().special("<summary>")
    found = 0
    for index in range(4):
        batch = Corpus(built(), "train", 0).batch(index, Shape(16, 448, (1, 2)))
        for row, branch, seen in ends(batch):
            own = batch.branches[row] == branch
            if batch.tokens[row][own][0] != summary:
                continue
            found += 1
            paths = {*batch.segments[row][seen].tolist()} - {0}
            assert len(paths) >= 2
            assert not batch.segments[row][own].any()
            assert batch.positions[row][own][0] == batch.positions[row][seen & ~own].max() + 1
            for path in paths:
                mine = seen & (batch.segments[row] == path)
                others = seen & (batch.segments[row] > 0) & ~mine
                start = batch.branches[row][mine][0]
                assert not batch.sees[row][start, batch.branches[row][others]].any()
    assert found > 0


@given(seed=SEEDS)
def test_only_responses_are_learned(seed: int) -> None:
    tokenizer, batch = built(), batch_of(seed)
    assistant = tokenizer.special("<|assistant|>")
    for row, branch, seen in ends(batch):
        own = batch.branches[row] == branch
        tokens, weights = batch.tokens[row][seen].tolist(), batch.weights[row][seen]
        start = tokens.index(assistant) + 1
        assert not weights[:start].any()
        assert {*weights[start:].tolist()} <= {0.0, 1.0, 2.0, 3.0, VERDICT, 6.0}
        assert batch.weights[row][own][-1] == 1.0


def test_problem_texts_are_learned_on_request() -> None:
    corpus = Corpus(built(), "train", 0, prompt_weight=0.05)
    assert 0.05 in corpus.batch(0, SHAPE).weights.round(6)


@given(seed=SEEDS)
def test_padding_is_last_and_weighs_nothing(seed: int) -> None:
    batch = batch_of(seed)
    padding = batch.branches == 0
    assert not batch.weights[padding].any()
    assert not batch.tokens[padding].any()
    assert not np.any(np.diff(padding.astype(int), axis=1) < 0)
    assert batch.tokens.shape == (SHAPE.rows, SHAPE.width)


@given(seed=SEEDS)
def test_a_token_is_its_own_first_choice_and_others_stand_at_learned_places(seed: int) -> None:
    batch = batch_of(seed)
    present = batch.branches > 0
    assert np.array_equal(batch.choices[..., 0][present], batch.tokens[present])
    several = batch.choices[..., 1] >= 0
    assert np.all(batch.weights[several] >= 1.0)


def test_the_models_own_drafts_are_used_where_there_are_some() -> None:
    problem = draw_problem(random.Random(1), 3, "facts", "train")
    own = (read(problem, "no idea\nAnswer: 1"), read(problem, "Answer: 98"))
    corpus = Corpus(built(), "train", 0, cases=[Case(problem, own)])
    texts = [built().decode(row.tolist()) for row in corpus.batch(0, Shape(8, 640, (3,))).tokens]
    assert any("no idea" in text for text in texts)


def test_a_batch_is_a_function_of_seed_and_index() -> None:
    one, two = (Corpus(built(), "train", 5).batch(9, SHAPE) for _ in range(2))
    other = Corpus(built(), "train", 5).batch(10, SHAPE)
    assert all(np.array_equal(*each) for each in zip(one, two, strict=True))
    assert not np.array_equal(one.tokens, other.tokens)


@pytest.mark.parametrize("name", ROLES)
def test_pieces_join_to_the_text_the_model_would_write(name: str) -> None:
    tokenizer, rng = built(), random.Random(4)
    problem = draw_problem(rng, 4, "sentences", "train")
    made = ROLES[name](Case(problem), rng)
    ids = Corpus(tokenizer, "train", 0).encode(made, problem.text).ids
    response = ids[ids.index(tokenizer.special("<|assistant|>")) + 1 : -1]
    assert tokenizer.encode(tokenizer.decode(response)) == response


def test_a_prompt_without_its_problem_is_refused() -> None:
    rng = random.Random(4)
    made = ROLES["solve"](Case(draw_problem(rng, 2, "facts", "train")), rng)
    with pytest.raises(ValueError, match="begin"):
        Corpus(built(), "train", 0).encode(made, "Another problem")


def test_every_word_of_the_world_is_a_token() -> None:
    tokenizer = built()
    assert tokenizer.vocab_size <= 1216
    assert [word for word in words(1) if len(tokenizer.encode(word)) != 1] == []
    assert [tokenizer.special(name) for name in CONTROLS] == list(range(len(CONTROLS)))
