"""Products run on one thread, and the user's setting comes back."""

from __future__ import annotations

import pytest

from tests.backends.reference.networks import finished, network, prompt, row
from tts.backends.reference import blas
from tts.backends.reference.blas import one_thread
from tts.backends.reference.engine import Engine


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for the BLAS's setting; the last entry is the present one."""
    history = [5]
    monkeypatch.setattr(blas, "_thread_calls", lambda: (lambda: history[-1], history.append))
    return history


def test_the_setting_is_1_inside_and_comes_back(threads: list[int]) -> None:
    with one_thread():
        assert threads == [5, 1]
        with one_thread():
            assert threads == [5, 1]
        assert threads == [5, 1]
    assert threads == [5, 1, 5]


def test_the_setting_comes_back_after_an_error(threads: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert threads == [5, 1, 5]


def test_every_step_leaves_the_setting_as_it_was(threads: list[int]) -> None:
    model = network("tiny")
    finished(Engine(model), row(prompt(model.config, 4)))
    assert set(threads[1::2]) == {1}
    assert set(threads[::2]) == {5}


def test_an_unknown_blas_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_thread_calls", lambda: None)
    entered = False
    with one_thread():
        entered = True
    assert entered
