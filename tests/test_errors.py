from __future__ import annotations

import pickle

import pytest

from tts import errors
from tts.errors import BackendError, BudgetExceeded, ConfigError, TTSError

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_ours_and_stands_in_the_tree(cls: type[Exception]) -> None:
    assert issubclass(cls, TTSError)
    assert cls.__name__ in (errors.__doc__ or "")
    assert cls.__doc__


def test_config_error_says_where() -> None:
    error = ConfigError("no", path="p.yaml", line=3, column=5)
    assert str(error) == "p.yaml:3:5: no"
    assert error.message == "no"
    assert str(ConfigError("no")) == "no"


@pytest.mark.parametrize(
    ("name", "retryable"),
    [
        ("RateLimited", True),
        ("BackendTimeout", True),
        ("BackendUnavailable", True),
        ("AuthenticationError", False),
        ("ContextLengthExceeded", False),
        ("InvalidResponse", False),
    ],
)
def test_backend_errors_say_whether_asking_again_can_help(name: str, retryable: bool) -> None:
    error = getattr(errors, name)("m")
    assert isinstance(error, BackendError)
    assert error.retryable is retryable


def test_rate_limit_keeps_the_wait() -> None:
    assert errors.RateLimited("slow down", retry_after=3.0).retry_after == 3.0


@pytest.mark.parametrize("kind", ["tokens", "calls", "seconds", "usd"])
def test_budget_error_names_what_ran_out(kind: str) -> None:
    error = BudgetExceeded(kind, spent=7, limit=10)
    assert kind in str(error)
    assert (error.kind, error.spent, error.limit) == (kind, 7, 10)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("no", path="p.yaml", line=3, column=5),
        BackendError("no", status=404),
        errors.RateLimited("slow down", retry_after=3.0),
        errors.NoQuorum([1, 2], 3),
        BudgetExceeded("calls", spent=7, limit=10),
        errors.NotCertifiable("too few", level=0.1, needed=40),
        errors.PlanError(3, "no such call"),
        errors.ToolError("add", "too late", retryable=False, is_timeout=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_out_of_a_pickle_as_they_went_in(error: TTSError) -> None:
    error.add_note("seen elsewhere")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
