"""What each of several workers may take of a suite's limits, so that all together keep them."""

from __future__ import annotations

from collections.abc import Iterator

from tts.backends.base import Provider
from tts.evals.suite import Lineup, Suite

__all__ = ["most_workers", "share_of"]


def share_of(suite: Suite, worker: int, workers: int) -> Suite:
    """Return the suite as one of several workers carries it out.

    Problems at once, calls at once, and requests and tokens a minute are divided: the shares add
    up to the whole. Budgets are each problem's own and stay. Cells keep their keys, since how calls
    are carried is no part of them.

    Args:
        suite: The suite.
        worker: Which of them, from 0.
        workers: How many there are; at most `most_workers`.
    """
    models = {
        name: lineup.model_copy(
            update={
                "models": {
                    key: _provider(each, worker, workers) for key, each in lineup.models.items()
                },
                "concurrency": _part(lineup.concurrency, worker, workers),
            }
        )
        for name, lineup in suite.models.items()
    }
    concurrency = _part(suite.concurrency, worker, workers)
    return suite.model_copy(update={"models": models, "concurrency": concurrency})


def most_workers(suite: Suite) -> int:
    """Return how many workers can have a part of every limit: the smallest of the limits."""
    limits = [suite.concurrency]
    for lineup in suite.models.values():
        limits += _limits(lineup)
    return min(limits)


def _limits(lineup: Lineup) -> Iterator[int]:
    if lineup.concurrency is not None:
        yield lineup.concurrency
    for provider in lineup.models.values():
        limits = provider.limits
        for limit in (provider.concurrency, limits.rpm, limits.tpm, limits.concurrency):
            if isinstance(limit, int):
                yield limit


def _provider(provider: Provider, worker: int, workers: int) -> Provider:
    limits, at_once = provider.limits, provider.limits.concurrency
    parts = {
        "rpm": _part(limits.rpm, worker, workers),
        "tpm": _part(limits.tpm, worker, workers),
        "concurrency": _part(at_once, worker, workers) if isinstance(at_once, int) else at_once,
    }
    update = {
        "limits": limits.model_copy(update=parts),
        "concurrency": _part(provider.concurrency, worker, workers),
    }
    return provider.model_copy(update=update)


def _part(whole: int | None, worker: int, workers: int) -> int | None:
    """Return one worker's part; the parts add up.

    >>> [_part(10, worker, 4) for worker in range(4)]
    [2, 3, 2, 3]
    """
    if whole is None:
        return None
    return whole * (worker + 1) // workers - whole * worker // workers
