"""Rows end when they should, share what they can, and leave nothing behind."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.reference.networks import TINY, finished, network, prompt, row, until_idle
from tts.backends.reference.cache import CHUNK, ChunkPool, Extent, chunks
from tts.backends.reference.engine import Engine, Row
from tts.backends.reference.sampling import Settings


def tiny() -> Engine:
    return Engine(network("tiny"))


def test_temperature_0_takes_the_most_probable_token() -> None:
    greedy = Row(prompt=prompt(TINY, 9), settings=Settings(0.0), limit=30, tops=3)
    finished(tiny(), greedy)
    for token, logprob, top in zip(
        greedy.tokens, greedy.logprobs, greedy.alternatives, strict=True
    ):
        assert top[0][0] == token
        assert top[0][1] == logprob
        assert top[0][1] >= top[1][1] >= top[2][1]


def test_the_seed_decides_the_draws() -> None:
    engine = tiny()
    first, again, other = finished(engine, *(row(prompt(TINY, 9), seed=s) for s in (1, 1, 2)))
    assert first.tokens == again.tokens != other.tokens


def test_a_longer_limit_only_adds_tokens() -> None:
    short, long = finished(tiny(), *(row(prompt(TINY, 9), limit=n) for n in (7, 30)))
    assert long.tokens[:7] == short.tokens
    assert long.logprobs[:7] == short.logprobs


def test_a_stop_id_ends_the_row_and_is_its_last_token() -> None:
    (free,) = finished(tiny(), row(prompt(TINY, 9), limit=30))
    stop = free.tokens[10]
    stopped = row(prompt(TINY, 9), limit=30)
    stopped.stops = frozenset({stop})
    finished(tiny(), stopped)
    assert stopped.tokens == free.tokens[: free.tokens.index(stop) + 1]
    assert (stopped.finish, free.finish) == ("stop", "length")


def test_a_watch_ends_the_row() -> None:
    watched = row(prompt(TINY, 9), limit=30)
    watched.watch = lambda tokens: len(tokens) == 4
    finished(tiny(), watched)
    assert (len(watched.tokens), watched.finish) == (4, "stop")


def test_the_cache_holds_each_prompt_once_and_each_rows_own_tokens() -> None:
    engine = tiny()
    rows = [row(prompt(TINY, n), seed=s, limit=50) for n in (40, 3) for s in range(5)]
    for each in rows:
        engine.submit(each)
    for _ in until_idle(engine):
        live = [each for each in rows if each.admitted and each.finish is None]
        prompts = {each.prompt for each in live}
        # The token drawn last is not in the cache yet.
        own = sum(chunks(len(each.tokens) - 1) for each in live)
        assert engine.pool.used == own + sum(chunks(len(ids)) for ids in prompts)
    assert engine.pool.used == engine.pool.top == 0


def test_a_cancelled_row_leaves_at_the_next_step() -> None:
    engine = tiny()
    stays, goes = row(prompt(TINY, 9), limit=20), row(prompt(TINY, 40), seed=1, limit=20)
    for each in (stays, goes):
        engine.submit(each)
    engine.step()
    held = len(goes.tokens)
    goes.cancelled = True
    engine.step()
    assert (engine.batch, len(goes.tokens)) == (1, held)
    assert engine.pool.used == chunks(9) + 1
    finished(engine)
    assert stays.finish == "length"


def test_a_row_cancelled_while_it_waits_never_runs() -> None:
    engine = Engine(network("tiny"), max_batch=1)
    runs, waits = row(prompt(TINY, 9)), row(prompt(TINY, 8))
    waits.cancelled = True
    finished(engine, runs, waits)
    assert not waits.admitted
    assert not waits.tokens


def test_no_more_rows_than_the_batch_holds_are_decoded_together() -> None:
    engine = Engine(network("tiny"), max_batch=3)
    rows = [row(prompt(TINY, 4 + n), limit=3 + n) for n in range(8)]
    for each in rows:
        engine.submit(each)
    most = max(engine.batch for _ in until_idle(engine))
    assert most == 3
    assert all(each.finish for each in rows)


def test_scoring_gives_what_generating_gave() -> None:
    (each,) = finished(tiny(), row(prompt(TINY, 50), limit=60))
    scored = Row(prompt=each.prompt, given=tuple(each.tokens), tops=2)
    finished(tiny(), scored)
    assert scored.tokens == each.tokens
    assert np.allclose(scored.logprobs, each.logprobs, rtol=0, atol=1e-4)
    assert all(len(top) == 2 for top in scored.alternatives)


def test_an_empty_text_has_an_empty_score() -> None:
    assert tiny().score(prompt(TINY, 5), ()) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=40))
def test_chunks_in_use_never_overlap_and_survive_compaction(
    actions: list[tuple[bool, int]],
) -> None:
    pool = ChunkPool(TINY, np.dtype(np.float32))
    held: dict[Extent, float] = {}
    for marker, (takes, number) in enumerate(actions, start=1):
        if takes or not held:
            extent = pool.take(number, number * CHUNK - 1)
            pool.keys[0][extent.span] = marker
            held[extent] = marker
        else:
            gone = list(held)[number % len(held)]
            pool.release(gone)
            del held[gone]
            pool.compact()
        spans = sorted((each.span.start, each.span.stop) for each in held)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        assert pool.used == sum(each.count for each in held)
        assert pool.top == max((stop for _, stop in spans), default=0)
        assert np.isfinite(pool.bias).sum() == sum(each.count * CHUNK - 1 for each in held)
        for each, value in held.items():
            assert (pool.keys[0][each.span] == value).all()
