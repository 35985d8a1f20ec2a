from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.certainty import DeepConf, SelfCertainty, lowest_group, self_certainty, token_confidence
from tts.messages import Completion, TokenLogprob, Usage
from tts.problem import Candidate
from tts.votes import Tally

PROBABILITIES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=8)
CONFIDENCES = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30)


def entry(*probabilities: float) -> TokenLogprob:
    top = tuple((str(at), math.log(each)) for at, each in enumerate(probabilities))
    return TokenLogprob(token="x", logprob=top[0][1] if top else -0.5, top=top)


def attempt(entries: list[TokenLogprob], answer: str = "7", ticket: int = 0) -> Candidate:
    said = Completion(
        text=f"Answer: {answer}", usage=Usage(), logprobs=tuple(entries) or None, model="m"
    )
    return Candidate(ticket=ticket, completion=said, answer=answer)


def distribution(masses: list[float]) -> list[float]:
    return [mass / sum(masses) for mass in masses]


@given(CONFIDENCES, st.integers(1, 40))
def test_lowest_group_is_the_least_mean_of_all_windows(values: list[float], window: int) -> None:
    size = min(window, len(values))
    means = [sum(values[at : at + size]) / size for at in range(len(values) - size + 1)]
    assert lowest_group(values, window) == pytest.approx(min(means), abs=1e-9)


@given(CONFIDENCES, st.integers(1, 40), st.floats(0.1, 9.0))
def test_lowest_group_scales(values: list[float], window: int, scale: float) -> None:
    scaled = lowest_group([scale * each for each in values], window)
    assert scaled == pytest.approx(scale * lowest_group(values, window), rel=1e-6, abs=1e-9)


def test_a_short_text_is_one_group() -> None:
    assert lowest_group([1.0, 3.0], 64) == 2.0


def test_token_confidence_by_hand() -> None:
    assert token_confidence(entry(0.5, 0.125)) == pytest.approx(math.log(16) / 2)


def test_without_alternatives_it_is_the_probability() -> None:
    assert token_confidence(TokenLogprob(token="x", logprob=math.log(0.25))) == pytest.approx(0.25)


def test_never_is_not_infinitely_sure() -> None:
    odd = TokenLogprob(token="x", logprob=0.0, top=(("x", 0.0), ("y", -9999.0)))
    assert token_confidence(odd) == 25.0
    assert self_certainty(odd) <= 50.0


@given(PROBABILITIES)
def test_self_certainty_is_the_divergence_from_uniform(masses: list[float]) -> None:
    shares = distribution(masses)
    size = len(shares)
    divergence = sum(math.log(1 / size / share) / size for share in shares)
    known = self_certainty(entry(*shares), vocabulary=size)
    assert known == pytest.approx(divergence, abs=1e-9)
    assert self_certainty(entry(*shares)) == pytest.approx(divergence, abs=1e-9)


@given(PROBABILITIES, st.integers(0, 6))
def test_what_is_not_known_only_lowers_self_certainty(masses: list[float], hidden: int) -> None:
    shares = sorted(distribution(masses), reverse=True)
    shown = shares[: max(1, len(shares) - hidden)]
    bound = self_certainty(entry(*shown), vocabulary=len(shares))
    assert bound <= self_certainty(entry(*shares), vocabulary=len(shares)) + 1e-6


@given(st.lists(PROBABILITIES, min_size=1, max_size=6), st.integers(1, 8))
def test_weights_lie_in_range(tokens: list[list[float]], window: int) -> None:
    entries = [entry(*distribution(masses)) for masses in tokens]
    for vote in (DeepConf(window=window), SelfCertainty(), SelfCertainty(vocabulary=100)):
        weight = vote.weight(attempt(entries))
        assert weight is not None
        assert 0.0 <= weight <= 1.0


def test_one_unsure_stretch_costs_deepconf_the_vote() -> None:
    sure, unsure = entry(0.98, 0.01), entry(0.5, 0.5)
    steady = attempt([sure] * 6 + [unsure] * 0, "1", 0)
    shaky = attempt([sure] * 4 + [unsure] * 2, "2", 1)
    assert Tally.of([shaky, steady], DeepConf(window=2)).solution().answer == "1"


@pytest.mark.parametrize("vote", [DeepConf(), SelfCertainty()])
def test_without_logprobs_it_abstains(vote: DeepConf | SelfCertainty) -> None:
    assert vote.weight(attempt([])) is None


def test_without_alternatives_deepconf_has_the_logprobs() -> None:
    plain = TokenLogprob(token="x", logprob=math.log(0.5))
    assert DeepConf().weight(attempt([plain])) == pytest.approx(0.5)
    assert SelfCertainty().weight(attempt([plain])) is None
