from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import ConfigError
from tts.messages import Completion, TokenLogprob, Usage
from tts.problem import Candidate
from tts.stopping import StoppingRule
from tts.stopping.confidence import (
    GroupConfidence,
    certaindex,
    cisc_weights,
    lowest_group,
    percentile,
    token_confidence,
)
from tts.stopping.deepconf import DeepConf
from tts.votes import Tally

CONFIDENCES = st.lists(st.floats(0.0, 20.0), min_size=1, max_size=30)


def trace(answer: str, confidences: list[float], ticket: int = 0) -> Candidate:
    tokens = tuple(
        TokenLogprob(token="w", logprob=0.0, top=(("w", -one), ("v", -one))) for one in confidences
    )
    completion = Completion(
        text="w",
        usage=Usage(completion_tokens=len(tokens)),
        logprobs=tokens,
        model="scripted",
    )
    return Candidate(ticket=ticket, completion=completion, answer=answer)


def test_token_confidence_is_the_mean_surprise_of_its_alternatives() -> None:
    token = TokenLogprob(token="w", logprob=0.0, top=(("w", -1.0), ("v", -3.0)))
    assert token_confidence(token) == 2.0
    assert token_confidence(TokenLogprob(token="w", logprob=0.0)) is None


@given(CONFIDENCES, st.integers(1, 35))
def test_group_confidence_agrees_with_a_moving_average(
    confidences: list[float], window: int
) -> None:
    group = GroupConfidence(window)
    for confidence in confidences:
        group.add(confidence)
    width = min(window, len(confidences))
    means = np.convolve(confidences, np.ones(width) / width, mode="valid")
    assert group.current == pytest.approx(means[-1], abs=1e-9)
    assert group.lowest == pytest.approx(means.min(), abs=1e-9)
    full = len(confidences) >= window
    assert group.is_below(means[-1] + 1.0) == full
    assert not group.is_below(means[-1] - 1.0)


def test_a_trace_without_alternatives_has_no_confidence() -> None:
    bare = trace("a", [1.0]).completion.model_copy(
        update={"logprobs": (TokenLogprob(token="w", logprob=0.0),)}
    )
    assert lowest_group(bare) is None
    assert lowest_group(bare.model_copy(update={"logprobs": None})) is None
    assert lowest_group(trace("a", [4.0, 2.0, 6.0]).completion, window=2) == 3.0


@given(CONFIDENCES, st.floats(0.0, 1.0))
def test_percentile_agrees_with_numpy(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-9)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_certaindex_is_entropys_complement(counts: list[int]) -> None:
    n = sum(counts)
    if n < 2:
        assert certaindex(counts) == 0.0
        return
    entropy = -sum(c / n * math.log(c / n) for c in counts if c)
    assert certaindex(counts) == pytest.approx(max(0.0, 1 - entropy / math.log(n)))


@given(CONFIDENCES, st.floats(0.1, 10.0))
def test_cisc_weights_are_a_softmax(confidences: list[float], temperature: float) -> None:
    weights = cisc_weights(confidences, temperature)
    assert sum(weights) == pytest.approx(1.0)
    parts = np.exp(np.array(confidences) / temperature - max(confidences) / temperature)
    assert weights == pytest.approx(list(parts / parts.sum()))


def test_what_has_no_meaning_is_refused() -> None:
    for wrong in (
        lambda: GroupConfidence(0),
        lambda: percentile([], 0.5),
        lambda: cisc_weights([1.0], 0.0),
    ):
        with pytest.raises(ConfigError):
            wrong()


def verdict(rule: StoppingRule, traces: list[tuple[str, float]]) -> str | None:
    tally = Tally.of(trace(answer, [one], at) for at, (answer, one) in enumerate(traces))
    stopped = rule.verdict(tally, 5).stopped_by
    return stopped.reason if stopped else None


def test_deepconf_waits_for_its_warm_up() -> None:
    rule = DeepConf(warm_up=3)
    assert verdict(rule, [("a", 2.0)] * 2) is None
    assert verdict(rule, [("a", 2.0)] * 3) == "1.000 of the confidence is for a"
    assert [rule.earliest(Tally(), left) for left in (40, 2)] == [3, 2]


def test_deepconf_lets_only_confident_traces_speak() -> None:
    traces = [("a", 5.0), ("a", 5.0), ("b", 1.0), ("a", 5.0), ("b", 1.0)]
    assert verdict(DeepConf(warm_up=4, keep=0.5), traces)
    assert verdict(DeepConf(warm_up=4, keep=1.0, consensus=0.9), traces) is None


def test_deepconf_never_stops_on_traces_it_cannot_judge() -> None:
    rule = DeepConf(warm_up=1)
    bare = trace("a", []).model_copy()
    assert rule.verdict(Tally.of([bare]), 5).stopped_by is None


def test_deepconf_remembers_a_tally_as_it_grows() -> None:
    rule, tally = DeepConf(warm_up=2), Tally()
    for at, answer in enumerate("aab"):
        tally.add(trace(answer, [2.0], at))
        fresh = Tally.of(tally.candidates)
        assert rule.verdict(tally, 5) == rule.verdict(fresh, 5)
    assert rule.needs == {"top_logprobs"}
