from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.evals.sums import adds, backend, suite
from tts.backends import Given
from tts.backends.base import Provider
from tts.errors import ConfigError
from tts.evals.executor import open_worker
from tts.evals.keeping import open_calls
from tts.evals.suite import Lineup, Suite
from tts.testing import ScriptedBackend, virtual_run


def grid(roles: dict[str, str], **settings: Any) -> Suite:
    """Return a suite of a model with a price, and one without."""
    models: dict[str, Provider] = {
        "known": Given(backend=backend()),
        "unknown": Given(backend=ScriptedBackend(adds, price=None)),
    }
    lineup = Lineup(models=models, roles=roles)
    return suite(backend(), models={"m": lineup}, equal=("usd",), **settings)


async def opened(suite: Suite, folder: Path) -> bool:
    with open_calls(folder / "calls.sqlite") as calls:
        async with open_worker(suite, calls):
            return True


def test_a_model_that_plays_no_role_needs_no_price(tmp_path: Path) -> None:
    assert virtual_run(partial(opened, grid({"solve": "known"}), tmp_path))


@pytest.mark.parametrize("roles", [{"solve": "unknown"}, {"solve": "known", "verify": "unknown"}])
def test_a_model_that_plays_one_needs_it(tmp_path: Path, roles: dict[str, str]) -> None:
    judged = {"use": "best_of_n", "samples": 2, "verifier": "yes_no"}
    asked = {"best": judged} if "verify" in roles else {"one": "self_consistency"}
    with pytest.raises(ConfigError, match="equal dollars need the price of scripted"):
        virtual_run(partial(opened, grid(roles, strategies=asked), tmp_path))
