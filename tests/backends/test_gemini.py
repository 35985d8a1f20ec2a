from __future__ import annotations

from typing import Any

import pytest

from tests.backends.canned import Canned, asking, events
from tts.backends.gemini import Gemini
from tts.errors import InvalidResponse
from tts.messages import Message

pytestmark = pytest.mark.anyio

USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 2,
    "thoughtsTokenCount": 3,
    "cachedContentTokenCount": 4,
}
SCORES = {
    "chosenCandidates": [{"token": "7", "logProbability": -0.5}],
    "topCandidates": [{"candidates": [{"token": "7", "logProbability": -0.5}]}],
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "g-1")


def provider(**settings: Any) -> Gemini:
    return Gemini.model_validate({"model": "gemini-flash"} | settings)


def said(text: str = "7", reason: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    parts = [{"text": "hm", "thought": True}, {"text": text}] if text else []
    candidate: dict[str, Any] = {"content": {"parts": parts}, "index": 0} | fields
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "usageMetadata": USAGE}


async def test_a_request_is_spelled_as_contents() -> None:
    server = Canned(said())
    words = (*asking().messages, Message(role="assistant", content="Hm."), asking().messages[1])
    await server.ask(
        provider(),
        messages=words,
        seed=3,
        top_p=0.9,
        top_k=5,
        stop=("\n",),
        json_schema={"type": "object"},
    )
    assert server.paths == ["/v1beta/models/gemini-flash:generateContent"]
    assert server.bodies[0] == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "What?"}]},
            {"role": "model", "parts": [{"text": "Hm."}]},
            {"role": "user", "parts": [{"text": "What?"}]},
        ],
        "generationConfig": {
            "temperature": 0.8,
            "maxOutputTokens": 64,
            "topP": 0.9,
            "topK": 5,
            "stopSequences": ["\n"],
            "seed": 3,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
    }
    assert server.headers[0]["x-goog-api-key"] == "g-1"


async def test_thoughts_count_and_stand_apart() -> None:
    completion = await Canned(said()).ask(provider())
    usage = completion.usage
    assert (completion.text, completion.reasoning) == ("7", "hm")
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (9, 5, 4)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        (said("", "RECITATION"), "RECITATION"),
        ({"candidates": []}, "no candidates"),
    ],
)
async def test_a_withheld_answer_says_why(reply: Any, says: str) -> None:
    with pytest.raises(InvalidResponse, match=says):
        await Canned(reply).ask(provider())
    if says == "SAFETY":
        with pytest.raises(InvalidResponse, match=says):
            await Canned(events(reply)).ask(provider(), heard=[])


async def test_tokens_that_ran_out_cut_the_text() -> None:
    assert (await Canned(said("7", "MAX_TOKENS")).ask(provider())).finish_reason == "length"
    assert (await Canned(said("", "MAX_TOKENS")).ask(provider())).text == ""


async def test_logprobs_where_the_model_gives_them() -> None:
    able = provider(capabilities={"logprobs": True, "top_logprobs": 5})
    server = Canned(said(logprobsResult=SCORES))
    completion = await server.ask(able, top_logprobs=1)
    assert [entry.logprob for entry in completion.logprobs or ()] == [-0.5]
    assert server.bodies[0]["generationConfig"]["logprobs"] == 1


async def test_a_stream_is_put_together() -> None:
    heard: list[str] = []
    server = Canned(events(said("It is ", None), said("7")))
    completion = await server.ask(provider(), heard=heard)
    assert server.paths == ["/v1beta/models/gemini-flash:streamGenerateContent?alt=sse"]
    assert heard == ["It is ", "7"]
    assert (completion.text, completion.reasoning) == ("It is 7", "hmhm")
    assert completion.usage.completion_tokens == 5
