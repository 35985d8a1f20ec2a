from __future__ import annotations

import anyio
import pytest

from tts.errors import RateLimited
from tts.tasks import first_error, task_scope
from tts.testing import virtual_run


async def fail(seconds: float, error: Exception) -> None:
    await anyio.sleep(seconds)
    raise error


def test_the_error_of_a_task_is_raised_as_itself() -> None:
    error = KeyError("k")

    async def main() -> None:
        async with task_scope() as tasks:
            tasks.start_soon(fail, 1.0, error)
            await anyio.sleep(5.0)

    with pytest.raises(KeyError) as caught:
        virtual_run(main)
    assert caught.value is error
    assert caught.value.__cause__ is None


def test_the_cause_of_a_lone_error_is_kept() -> None:
    def broken() -> None:
        raise KeyError("k") from OSError("disk")

    with pytest.raises(KeyError) as caught, first_error():
        try:
            broken()
        except KeyError as error:
            raise ExceptionGroup("tasks", [error]) from None
    assert isinstance(caught.value.__cause__, OSError)


def test_further_errors_stay_visible_as_the_cause() -> None:
    first, second = KeyError("first"), OSError("second")
    with pytest.raises(KeyError) as caught, first_error():
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [first, second])])
    assert isinstance(caught.value.__cause__, ExceptionGroup)


def test_a_bug_is_raised_before_a_failed_call() -> None:
    with pytest.raises(KeyError), first_error():
        raise ExceptionGroup("tasks", [RateLimited("busy"), KeyError("bug")])


def test_leaving_the_scope_cancels_what_runs() -> None:
    async def main() -> float:
        async with task_scope() as tasks:
            tasks.start_soon(anyio.sleep, 3600.0)
        return anyio.current_time()

    assert virtual_run(main) == 0.0


def test_cancelling_from_outside_is_no_error() -> None:
    async def main() -> float:
        with anyio.move_on_after(2.0):
            async with task_scope() as tasks:
                tasks.start_soon(anyio.sleep, 3600.0)
                await anyio.sleep(3600.0)
        return anyio.current_time()

    assert virtual_run(main) == 2.0
