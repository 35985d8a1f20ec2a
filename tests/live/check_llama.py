"""The openai backend against llama.cpp's own server and a small real model: `make test-live-small`.

It is the wire that is tried here; what so small a model says is nearly never right.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.contract import *  # noqa: F403  # the tests of every model
from tests.live.contract import asking
from tests.live.servers import Served, serving
from tts import Meter, solve
from tts.layers import Budget

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """Start the server."""
    model = os.environ.get("LLAMA_MODEL")
    if not model:
        pytest.fail("LLAMA_MODEL names the model: make test-live-small")
    question = "Name three colours."
    with serving(
        Path(model), alias="small", slots=8, context=512, question=question, raw="1, 2, 3, 4, 5,"
    ) as started:
        yield started


async def test_the_assistants_words_are_continued(served: Served) -> None:
    words = (
        {"role": "user", "content": "Count to ten in digits."},
        {"role": "assistant", "content": "1, 2, 3, 4,"},
    )
    async with served.provider().open() as backend:
        asked = asking("", messages=words, temperature=0.0)
        completion = await backend.generate(asked, Meter())
    assert completion.text.lstrip().startswith("5")


async def test_self_consistency_from_end_to_end(served: Served) -> None:
    strategy = {"use": "self_consistency", "samples": 8}
    model = served.provider(sampling={"max_tokens": 96})
    solution = await solve("What is 3 + 4?", strategy, model=model, budget=Budget(seconds=300))
    assert solution.status in {"ok", "no_answer"}
    assert solution.failed_calls == 0
    assert 0 < solution.usage.calls <= 8
    assert solution.usage.cost_usd is None  # nobody knows its price
