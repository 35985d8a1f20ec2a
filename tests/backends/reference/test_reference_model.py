"""The network computes what Llama computes, packed and one token at a time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.reference.networks import (
    TINY,
    bundled_config,
    finished,
    network,
    prompt,
    random_tensors,
    row,
    sharp_tensors,
)
from tests.backends.reference.oracle import oracle_logits
from tts.backends.reference.engine import Engine
from tts.backends.reference.sampling import log_probabilities
from tts.errors import ContextLengthExceeded


@pytest.mark.parametrize(("size", "length"), [("tiny", 70), ("bundled", 36)])
def test_log_probabilities_are_those_of_a_slow_oracle(size: str, length: int) -> None:
    config = TINY if size == "tiny" else bundled_config()
    ids = prompt(config, length)
    logs = log_probabilities(oracle_logits(config, random_tensors(config), ids))
    expected = [logs[i - 1, ids[i]] for i in range(1, length)]
    for double, tolerance in ((True, 1e-10), (False, 1e-4)):
        scored = Engine(network(size, double=double)).score(ids[:1], ids[1:])
        assert np.abs(np.array(scored) - expected).max() <= tolerance


@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-10), (False, 1e-4)])
@pytest.mark.parametrize("size", ["tiny", "bundled"])
def test_decoding_equals_the_packed_forward_pass(size: str, double: bool, tolerance: float) -> None:
    model = network(size, double=double)
    engine = Engine(model)
    lengths = (1, 31, 32, 33, 70)
    rows = [row(prompt(model.config, n), seed=n, limit=40) for n in lengths]
    for each in finished(engine, *rows):
        assert len(each.tokens) == 40
        scored = engine.score(each.prompt, each.tokens)
        assert np.abs(np.array(scored) - each.logprobs).max() <= tolerance


def test_scores_beyond_the_range_of_exponentials_do_no_harm() -> None:
    engine = Engine(network("sharp", double=True))
    for each in finished(engine, *(row(prompt(TINY, n), limit=40) for n in (1, 35))):
        sequence = [*each.prompt, *each.tokens]
        logs = log_probabilities(oracle_logits(TINY, sharp_tensors(), sequence))
        start = len(each.prompt)
        expected = [logs[i - 1, sequence[i]] for i in range(start, len(sequence))]
        assert np.abs(np.array(each.logprobs) - expected).max() <= 1e-6


def test_logits_do_not_depend_on_tokens_that_follow() -> None:
    model = network("tiny", double=True)
    ids = prompt(TINY, 60)
    long = Engine(model).score(ids[:1], ids[1:])
    short = Engine(model).score(ids[:1], ids[1:40])
    assert np.allclose(long[:39], short, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("length", "limit", "given"),
    [
        (TINY.max_position_embeddings + 1, 1, None),
        (TINY.max_position_embeddings, 1, None),
        (5, TINY.max_position_embeddings - 4, None),
        (5, 1, TINY.max_position_embeddings - 4),
    ],
)
def test_a_row_over_the_context_is_refused(length: int, limit: int, given: int | None) -> None:
    engine = Engine(network("tiny"))
    each = row(prompt(TINY, length), limit=limit)
    each.given = None if given is None else prompt(TINY, given)
    with pytest.raises(ContextLengthExceeded, match=str(TINY.max_position_embeddings)):
        engine.submit(each)
    if given is not None:
        with pytest.raises(ContextLengthExceeded):
            engine.score(each.prompt, each.given or ())
    assert not engine.busy


def test_a_row_may_fill_the_context_to_its_last_place() -> None:
    room = TINY.max_position_embeddings - 5
    (each,) = finished(Engine(network("tiny")), row(prompt(TINY, 5), limit=room))
    assert len(each.tokens) == room
    assert each.finish == "length"
