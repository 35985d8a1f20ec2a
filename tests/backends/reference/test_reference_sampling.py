"""Tokens are drawn from the distribution that temperature, top-k and top-p define."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare  # type: ignore[import-untyped]

from tts.backends.reference.sampling import Settings, draw, log_probabilities, uniforms

CASES = [
    Settings(),
    Settings(0.6),
    Settings(1.0, top_p=0.7),
    Settings(1.0, top_k=4),
    Settings(1.4, top_p=0.5, top_k=6),
    Settings(0.8, top_p=0.999),
]


def distribution(logits: NDArray[np.float64], settings: Settings) -> NDArray[np.float64]:
    """Return the probabilities, one token at a time."""
    weights = np.exp(logits / settings.temperature)
    order = sorted(range(len(logits)), key=lambda token: -weights[token])[: settings.top_k]
    total = sum(weights[token] for token in order)
    kept, mass = [], 0.0
    for token in order:
        kept.append(token)
        mass += weights[token]
        if mass >= settings.top_p * total:
            break
    found = np.zeros(len(logits))
    found[kept] = weights[kept] / mass
    return found


@pytest.mark.parametrize("settings", CASES)
def test_frequencies_fit_a_brute_force_distribution(settings: Settings) -> None:
    # One fixed seed per case, so the outcome is fixed; a right sampler had a chance of 1e-4 to
    # fail in each case when the seed was chosen.
    logits = np.random.default_rng(5).normal(0, 1.5, 12)
    expected = distribution(logits, settings)
    count = 20_000
    drawn = draw(np.tile(logits, (count, 1)), [settings] * count, uniforms(11, count))
    seen = np.bincount(drawn.tokens, minlength=12)
    kept = expected > 0
    assert not seen[~kept].any()
    assert chisquare(seen[kept], expected[kept] * count).pvalue > 1e-4


@given(
    st.integers(0, 2**31 - 1),
    st.lists(
        st.sampled_from([*CASES, Settings(0.0), Settings(0.0, top_k=1)]), min_size=1, max_size=9
    ),
)
def test_a_row_is_drawn_as_if_it_were_alone(seed: int, settings: list[Settings]) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (len(settings), 50)).astype(np.float32)
    places = generator.random(len(settings))
    together = draw(logits, settings, places)
    for index, each in enumerate(settings):
        one = draw(logits[index : index + 1], [each], places[index : index + 1])
        assert one.tokens[0] == together.tokens[index]
        assert one.log_probabilities[0] == together.log_probabilities[index]


@pytest.mark.parametrize("uniform", [0.0, 0.5, np.nextafter(1.0, 0.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_kept_tokens_are_drawn_at_the_ends_of_the_range(
    uniform: float, dtype: type[np.floating]
) -> None:
    logits = np.full((1, 600), -2000.0, dtype)
    logits[0, 17] = 0.0
    assert draw(logits, [Settings(0.5)], np.array([uniform])).tokens[0] == 17


def test_among_equal_tokens_top_k_keeps_the_first() -> None:
    places = np.linspace(0, 1, 40, endpoint=False)
    drawn = draw(np.zeros((40, 8)), [Settings(top_k=3)] * 40, places)
    assert set(drawn.tokens) == {0, 1, 2}


def test_log_probabilities_are_at_temperature_1_whatever_is_drawn() -> None:
    logits = np.random.default_rng(2).normal(0, 2, (4, 30))
    drawn = draw(
        logits, [Settings(0.0), Settings(2.0), Settings(top_k=2), Settings()], np.full(4, 0.3)
    )
    expected = log_probabilities(logits)[np.arange(4), drawn.tokens]
    assert np.allclose(drawn.log_probabilities, expected, rtol=0, atol=1e-12)


def test_a_rows_numbers_depend_on_seed_and_step_only() -> None:
    assert np.array_equal(uniforms(4, 100)[:30], uniforms(4, 30))
    assert not np.array_equal(uniforms(4, 30), uniforms(5, 30))
