"""The Ray cluster that a bench runs on: the one of RAY_ADDRESS, or one of this machine's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio

from tts.errors import ConfigError
from tts.threads import in_thread

__all__ = ["ray_cluster"]

_MISSING: Final = "Ray is not installed: pip install 'tts-orchestrator[ray]'"
_REACH: Final = 30
"""Seconds within which a cluster must answer; Ray itself would try for minutes."""


@asynccontextmanager
async def ray_cluster() -> AsyncIterator[Any]:
    """Yield the module `ray`, connected, and disconnect it on the way out.

    Without RAY_ADDRESS a cluster is started on this machine, and ended on the way out. Where the
    caller has connected Ray already, that stays as it is.

    Raises:
        ConfigError: If Ray is not installed, the address is wrong, nothing answers there within
            half a minute, or no cluster can be started.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    address = os.environ.get("RAY_ADDRESS") or "local"
    await _connect(partial(ray.init, address=address, **quiet), address)
    try:
        yield ray
    finally:
        ray.shutdown()


async def _connect(init: partial[Any], address: str) -> None:
    if address == "local":
        try:
            init()  # not in a thread: the processes that it starts would end with that
        except Exception as error:
            raise ConfigError(f"Ray cannot be started on this machine: {error}") from error
        return
    with anyio.move_on_after(_REACH) as scope:
        try:
            await in_thread(init, "Ray")
        except Exception as error:
            raise ConfigError(_told(address, str(error))) from error
    if scope.cancelled_caught:
        raise ConfigError(_told(address, f"no answer in {_REACH} s"))


def _told(address: str, why: str) -> str:
    return (
        f"the Ray cluster of RAY_ADDRESS={address} cannot be reached ({why.rstrip('.')}): see "
        "whether it runs (ray status), the address is HOST:PORT of its head node, no firewall "
        "stands between, and RAY_AUTH_TOKEN is its token if it asks for one; without RAY_ADDRESS, "
        "Ray is started on this machine"
    )
