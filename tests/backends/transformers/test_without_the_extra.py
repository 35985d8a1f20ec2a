from __future__ import annotations

import sys

import anyio
import pytest

from tts import ConfigError
from tts.backends.transformers import Transformers


def test_without_the_extra_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tts.backends.transformers.backend", None)

    async def main() -> None:
        async with Transformers(model="anywhere").open():
            raise AssertionError

    with pytest.raises(ConfigError, match=r"pip install 'tts-orchestrator\[transformers\]'"):
        anyio.run(main)
