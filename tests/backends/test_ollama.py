from __future__ import annotations

import pytest

from tests.backends.canned import Canned
from tts.backends.ollama import Ollama

pytestmark = pytest.mark.anyio


async def test_ollama_is_found_at_home_and_costs_nothing() -> None:
    choice = {"index": 0, "message": {"content": "7"}, "finish_reason": "stop"}
    server = Canned({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}})
    assert (await server.ask(Ollama(model="llama3.2"), seed=2)).text == "7"
    assert server.paths == ["/v1/chat/completions"]
    assert server.bodies[0]["seed"] == 2
    assert "authorization" not in server.headers[0]
    async with server.serve(Ollama(model="llama3.2")) as backend:
        assert backend.price is not None
        assert backend.price.of(10**6, 10**6) == 0.0
