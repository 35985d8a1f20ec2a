from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from tests.backends.canned import Canned, asking, events
from tts.backends import Meter
from tts.backends.openai import OpenAI
from tts.backends.openai.dialects import DIALECTS
from tts.errors import AuthenticationError, ConfigError, InvalidResponse
from tts.messages import Completion, Message

pytestmark = pytest.mark.anyio

URL = "http://localhost:8000/v1"
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}
LOGPROBS = {
    "content": [
        {"token": "7", "logprob": 1e-9, "top_logprobs": [{"token": "7", "logprob": -0.1}]},
        {"token": "!", "logprob": -2.0, "top_logprobs": [{"token": "?", "logprob": -0.5}]},
    ]
}


def provider(server: str = "vllm", **settings: Any) -> OpenAI:
    fields = {"base_url": URL, "model": "m", "server": server}
    return OpenAI.model_validate(fields | settings)


def chat(content: Any = "7!", **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}} | fields
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    return {"choices": [{"finish_reason": "stop"} | choice], "usage": usage}


WHOLE = {"top_k": -1, "top_p": 1.0, "min_p": 0.0}


async def test_a_request_says_no_more_than_was_asked() -> None:
    server = Canned(chat())
    await server.ask(provider(), seed=5, temperature=0.5)
    assert server.paths == ["/v1/chat/completions"]
    assert server.bodies[0] == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What?"},
        ],
        "temperature": 0.5,
        "max_tokens": 64,
        "seed": 5,
        **WHOLE,
    }


@pytest.mark.parametrize("server", ["vllm", "sglang", "llamacpp", "ollama", "lmstudio"])
async def test_a_server_with_defaults_of_its_own_is_told_to_sample_from_everything(
    server: str,
) -> None:
    canned = Canned(chat())
    await canned.ask(provider(server=server), top_p=0.9)
    assert canned.bodies[0]["top_p"] == 0.9
    await canned.ask(provider(server=server))
    assert canned.bodies[1]["top_p"] == 1.0
    whole = {"top_k": 0 if server == "llamacpp" else -1, "min_p": 0.0}
    told = server in ("vllm", "sglang", "llamacpp")
    assert {key: canned.bodies[1].get(key) for key in whole} == (
        whole if told else dict.fromkeys(whole)
    )


async def test_every_setting_is_spelled() -> None:
    server = Canned(chat(logprobs=LOGPROBS))
    await server.ask(
        provider(), top_p=0.9, top_k=20, stop=("\n",), top_logprobs=2, json_schema=SCHEMA
    )
    body = server.bodies[0]
    assert (body["top_p"], body["top_k"], body["stop"]) == (0.9, 20, ["\n"])
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_the_answer_holds_text_usage_and_cached_tokens() -> None:
    completion = await Canned(chat()).ask(provider())
    assert (completion.text, completion.model, completion.finish_reason) == ("7!", "m", "stop")
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (12, 2, 8)


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("content_filter", "length")]
)
async def test_finish_reasons_say_whether_the_text_is_whole(reason: str, finish: str) -> None:
    assert (await Canned(chat(finish_reason=reason)).ask(provider())).finish_reason == finish


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_stands_apart_from_the_text(field: str) -> None:
    message = {"content": "7", field: "hm"}
    completion = await Canned(chat(message=message)).ask(provider())
    assert (completion.text, completion.reasoning) == ("7", "hm")


async def test_tokens_that_ran_out_while_reasoning_leave_an_empty_text() -> None:
    message = {"content": None, "reasoning_content": "hm"}
    completion = await Canned(chat(message=message, finish_reason="length")).ask(provider())
    assert (completion.text, completion.finish_reason) == ("", "length")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"content": None, "finish_reason": "content_filter"}, "content filter"),
        ({"message": {"content": None, "tool_calls": [{"id": "1"}]}}, "nobody offered"),
        ({"content": None}, "no text"),
    ],
)
async def test_a_silent_answer_says_why(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidResponse, match=says):
        await Canned(chat(**fields)).ask(provider())


async def test_logprobs_are_read_in_both_shapes() -> None:
    old = {"tokens": ["7", "!"], "token_logprobs": [0.0, -2.0]}
    old["top_logprobs"] = [{"7": -0.1}, {"?": -0.5}]
    seen = []
    for shape in (LOGPROBS, old):
        completion = await Canned(chat(logprobs=shape)).ask(provider(), top_logprobs=1)
        seen.append(completion.logprobs)
    assert seen[0] == seen[1]
    first = (seen[0] or ())[0]
    assert (first.token, first.logprob, first.top) == ("7", 0.0, (("7", -0.1),))


async def test_alternatives_that_were_not_asked_for_are_dropped() -> None:
    completion = await Canned(chat(logprobs=LOGPROBS)).ask(provider(), logprobs=True)
    assert [entry.top for entry in completion.logprobs or ()] == [(), ()]
    assert (await Canned(chat(logprobs=LOGPROBS)).ask(provider())).logprobs is None


async def test_logprobs_that_do_not_come_are_an_error() -> None:
    with pytest.raises(InvalidResponse, match="logprobs: false"):
        await Canned(chat()).ask(provider(), logprobs=True)


async def test_a_completions_endpoint_gets_raw_text() -> None:
    server = Canned(chat(text="7"))
    completion = await server.ask(provider(endpoint="completions"), logprobs=False)
    assert completion.text == "7"
    assert server.paths == ["/v1/completions"]
    assert server.bodies[0]["prompt"] == "Be brief.\n\nWhat?"


async def test_openai_itself_knows_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    server = Canned(chat())
    await server.ask(OpenAI(model="gpt-4.1-mini"), seed=1)
    assert server.bodies[0]["max_completion_tokens"] == 64
    assert "max_tokens" not in server.bodies[0]
    assert server.headers[0]["authorization"] == "Bearer sk-1"


async def test_a_key_goes_to_its_own_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    server = Canned(chat())
    await server.ask(provider())
    assert "authorization" not in server.headers[0]


async def test_without_its_key_the_provider_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="export OPENAI_API_KEY"):
        await Canned(chat()).ask(OpenAI(model="gpt-4.1-mini"))


async def test_extra_fields_are_added_and_refused_ones_left_out() -> None:
    server = Canned(chat())
    await server.ask(provider(extra={"reasoning_effort": "low"}, omit=("temperature",)))
    assert server.bodies[0]["reasoning_effort"] == "low"
    assert "temperature" not in server.bodies[0]


@pytest.mark.parametrize(
    ("server", "asked", "says"),
    [
        ("openrouter", {"logprobs": True}, "'logprobs'"),
        ("openai", {"given": "7"}, "'score'"),
        ("tgi", {"json_schema": SCHEMA}, "'json_schema'"),
        ("openai", {"top_k": 5}, "top_k"),
        ("tgi", {"top_logprobs": 9}, "5 alternatives"),
        ("openai", {"messages": (Message(role="assistant", content="7"),)}, "'prefill'"),
    ],
)
async def test_what_a_server_cannot_do_is_refused_unpaid(
    server: str, asked: dict[str, Any], says: str
) -> None:
    canned = Canned(chat())
    with pytest.raises(ConfigError, match=says):
        await canned.ask(provider(server), **asked)
    assert canned.bodies == []


async def test_an_ability_can_be_claimed_in_the_settings() -> None:
    able = provider("openrouter", capabilities={"logprobs": True, "top_logprobs": 5})
    completion = await Canned(chat(logprobs=LOGPROBS)).ask(able, top_logprobs=1)
    assert completion.logprobs


def test_an_unknown_ability_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean 'logprobs'"):
        provider(capabilities={"logprob": True})


async def test_prefill_is_flagged_where_the_server_wants_it() -> None:
    words = (Message(role="user", content="What?"), Message(role="assistant", content="It is"))
    flagged, plain = Canned(chat()), Canned(chat())
    await flagged.ask(provider("vllm"), messages=words)
    await plain.ask(provider("llamacpp"), messages=words)
    assert flagged.bodies[0]["continue_final_message"] is True
    assert "continue_final_message" not in plain.bodies[0]


def delta(text: str = "", finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text} | fields, "finish_reason": finish}]}


async def test_a_stream_is_heard_piece_by_piece_and_ends_with_its_usage() -> None:
    heard: list[str] = []
    usage = {"choices": [], "usage": chat()["usage"]}
    server = Canned(
        events(delta("7"), delta("!"), delta(finish="stop"), usage) + b"data: [DONE]\n\n"
    )
    completion = await server.ask(provider(), heard=heard)
    assert server.bodies[0]["stream"] is True
    assert heard == ["7", "!"]
    assert (completion.text, completion.usage.cached_tokens) == ("7!", 8)


async def test_streamed_reasoning_is_counted_and_not_heard() -> None:
    heard: list[str] = []
    parts = [delta(reasoning_content="hm" * 20), delta("7"), delta(finish="stop")]
    completion = await Canned(events(*parts)).ask(provider(), heard=heard)
    assert (heard, completion.reasoning, completion.text) == (["7"], "hm" * 20, "7")
    assert completion.usage.estimated
    assert completion.usage.completion_tokens == 11


async def test_a_stream_of_completions_is_read() -> None:
    heard: list[str] = []
    parts = [{"choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in "7!"]
    parts.append({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    completion = await Canned(events(*parts)).ask(provider(endpoint="completions"), heard=heard)
    assert (completion.text, heard) == ("7!", ["7", "!"])


async def test_streamed_logprobs_add_up() -> None:
    content = LOGPROBS["content"]
    parts = [delta("7"), delta("!"), delta(finish="stop")]
    for part, entry in zip(parts, content, strict=False):
        part["choices"][0]["logprobs"] = {"content": [entry]}
    completion = await Canned(events(*parts)).ask(provider(), heard=[], logprobs=True)
    assert [entry.token for entry in completion.logprobs or ()] == ["7", "!"]


async def test_calls_can_always_stream() -> None:
    server = Canned(events(delta("7"), delta(finish="stop")))
    assert (await server.ask(provider(always_stream=True))).text == "7"
    assert server.bodies[0]["stream"] is True


def scored(text: str, logprob: float, *others: tuple[str, float]) -> dict[str, Any]:
    entries = [(text, logprob), *others]
    return {
        str(i): {"logprob": value, "decoded_token": token}
        for i, (token, value) in enumerate(entries)
    }


def scores(*entries: Any) -> dict[str, Any]:
    return chat() | {"prompt_logprobs": [None, scored("<a>", -9.0), *entries]}


async def test_a_given_text_is_scored_by_the_prompts_last_tokens() -> None:
    server = Canned(scores(scored(" keys", -0.5), scored(" = 5", -1.5, (" = 4", -0.2))))
    completion = await server.ask(provider(), given="keys = 5", top_logprobs=1)
    body = server.bodies[0]
    assert body["messages"][-1] == {"role": "assistant", "content": "keys = 5"}
    assert (body["prompt_logprobs"], body["max_tokens"]) == (1, 1)
    assert (completion.text, completion.usage.completion_tokens) == ("keys = 5", 0)
    assert completion.usage.prompt_tokens == 14  # the token that the server insists on, too
    entries = completion.logprobs or ()
    assert [(entry.token, entry.logprob) for entry in entries] == [("keys", -0.5), (" = 5", -1.5)]
    assert entries[1].top == ((" = 4", -0.2),)


@pytest.mark.parametrize(
    "entries", [(scored("locks", -0.5),), (scored("xkeys", -0.5),), (None,), ()]
)
async def test_scores_that_do_not_spell_the_text_are_an_error(entries: Any) -> None:
    with pytest.raises(InvalidResponse):
        await Canned(scores(*entries)).ask(provider(), given="keys")


async def test_a_given_text_follows_the_assistants_own_words() -> None:
    server = Canned(scores(scored("5", -0.5)))
    words = (Message(role="user", content="?"), Message(role="assistant", content="keys = "))
    await server.ask(provider(), messages=words, given="5")
    assert [message["content"] for message in server.bodies[0]["messages"]] == ["?", "keys = 5"]


MODELS = [
    ("vllm", {"owned_by": "vllm", "max_model_len": 4096}, 4096),
    ("llamacpp", {"owned_by": "llamacpp", "meta": {"n_ctx": 2048}}, 2048),
    ("sglang", {"owned_by": "sglang"}, None),
    ("ollama", {"owned_by": "library"}, None),
]


@pytest.mark.parametrize(("server", "fields", "context"), MODELS)
async def test_a_server_is_known_by_its_models(
    server: Any, fields: dict[str, Any], context: int | None
) -> None:
    canned = Canned(
        lambda path: {"data": [{"id": "only"} | fields]} if "models" in path else chat()
    )
    async with canned.serve(OpenAI(base_url=URL)) as backend:
        known = DIALECTS[server].capabilities.model_copy(update={"context": context})
        assert (backend.name, backend.capabilities) == ("only", known)
    assert canned.paths == ["/v1/models"]


async def test_an_unknown_server_is_tried_once_and_remembered() -> None:
    tried = chat(logprobs=LOGPROBS)
    tried["choices"] *= 2
    canned = Canned(lambda path: {"data": []} if "models" in path else tried)
    unknown = OpenAI(base_url=URL, model="m")
    for _ in range(2):
        async with canned.serve(unknown) as backend:
            can = backend.capabilities
    assert (can.n, can.logprobs, can.top_logprobs, can.seed) == (True, True, 5, False)
    assert canned.paths == ["/v1/models", "/v1/chat/completions"]


@pytest.mark.parametrize("reply", [httpx.Response(400, json={"error": "n > 1"}), {"odd": 1}])
async def test_a_server_that_refuses_the_trial_is_taken_to_do_little(reply: Any) -> None:
    canned = Canned(lambda path: httpx.Response(404) if "models" in path else reply)
    async with canned.serve(OpenAI(base_url=URL, model="m")) as backend:
        assert not backend.capabilities.logprobs
        assert backend.capabilities.stream


async def test_a_server_of_several_models_wants_a_name() -> None:
    listed = {"data": [{"id": "a"}, {"id": "b"}]}
    with pytest.raises(ConfigError, match=r"name one \(a, b\)"):
        async with Canned(listed).serve(OpenAI(base_url=URL)):
            raise AssertionError


async def test_a_server_that_refuses_the_key_is_not_tried() -> None:
    canned = Canned(lambda path: httpx.Response(401))
    with pytest.raises(AuthenticationError):
        async with canned.serve(OpenAI(base_url=URL, model="m")):
            raise AssertionError
    assert canned.paths == ["/v1/models"]


async def test_a_cancelled_call_is_charged_the_prompt_as_the_provider_counts_it() -> None:
    canned = Canned(chat())
    async with canned.serve(provider()) as backend:
        estimate, known = Meter(), Meter()
        await backend.generate(asking(), Meter())
        canned.reply = httpx.Response(200, content=b"cut off")
        for meter, asked in (
            (known, asking()),
            (estimate, asking(messages=({"role": "user", "content": "x" * 40},))),
        ):
            with pytest.raises(InvalidResponse, match="no JSON"):
                await backend.generate(asked, meter)
    assert (known.prompt_tokens, known.completion_tokens, known.estimated) == (12, 0, True)
    assert estimate.prompt_tokens == 18  # a quarter of the bound in bytes


async def test_an_answer_that_is_refused_is_charged_as_it_is_billed() -> None:
    reply = chat() | {"usage": {"prompt_tokens": 31, "completion_tokens": 5000}}
    reply["choices"][0] |= {"message": {"content": None}, "finish_reason": "content_filter"}
    async with Canned(reply).serve(provider()) as backend:
        meter = Meter()
        with pytest.raises(InvalidResponse, match="content filter"):
            await backend.generate(asking(), meter)
    assert (meter.prompt_tokens, meter.completion_tokens) == (31, 5000)


@pytest.mark.parametrize(
    "pieces", [("1, 2,", " 3"), ("1, 2, 3",), ("1,", " 2", ",", " 3"), (" 3",)]
)
async def test_words_that_a_server_repeats_are_left_out(pieces: tuple[str, ...]) -> None:
    words = ({"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2,"})
    whole = chat("".join(pieces))
    told: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in pieces
    ]
    told.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in told).encode()
    heard: list[str] = []
    for reply, ear in ((whole, None), (stream, heard)):
        settings = provider("llamacpp")
        completion = await Canned(reply).ask(settings, heard=ear, messages=words)
        assert completion.text == " 3"
    assert "".join(heard) == " 3"


async def test_a_server_that_needs_alternatives_is_asked_for_one() -> None:
    entry = {"token": "7", "logprob": -0.1, "top_logprobs": [{"token": "7", "logprob": -0.1}]}
    reply = chat()
    reply["choices"][0]["logprobs"] = {"content": [entry]}
    canned = Canned(reply)
    completion = await canned.ask(provider("llamacpp"), logprobs=True)
    assert canned.bodies[0]["top_logprobs"] == 1
    assert completion.logprobs is not None
    assert completion.logprobs[0].top == ()


async def test_an_unknown_server_is_looked_at_again_after_a_failure_that_may_pass() -> None:
    failing = [httpx.Response(500), httpx.Response(503)]

    def answer(path: str) -> object:
        if path.endswith("/models"):
            return failing.pop() if failing else {"data": [{"id": "m", "owned_by": "vllm"}]}
        return chat()

    canned = Canned(answer)
    async with canned.serve(OpenAI(base_url=URL, model="m")) as backend:
        assert backend.capabilities.score
    assert canned.paths == ["/v1/models"] * 3


@pytest.mark.parametrize("error", [KeyError, ValueError, LookupError])
async def test_what_a_listener_raises_is_not_the_servers_fault(error: type[Exception]) -> None:
    def listen(piece: str) -> None:
        raise error(piece)

    for reply in (events(delta("7"), delta(finish="stop")), chat("7")):
        async with Canned(reply).serve(provider()) as backend:
            with pytest.raises(error, match="7"):
                await backend.generate(asking(), Meter(listener=listen))


def several(*texts: str, tokens: int, scored: bool = False) -> dict[str, Any]:
    value = chat() | {"usage": {"prompt_tokens": 12, "completion_tokens": tokens}}
    value["choices"] = [
        {"index": i, "message": {"content": text}, "finish_reason": "stop"}
        | ({"logprobs": LOGPROBS} if scored else {})
        for i, text in enumerate(texts)
    ]
    value["choices"].reverse()
    return value


async def drawn(
    server: str, reply: Any, n: int, **fields: Any
) -> tuple[tuple[Completion | None, ...], Meter, Canned]:
    canned, meter = Canned(reply), Meter()
    async with canned.serve(provider(server)) as backend:
        completion = await backend.generate(asking(n=n, **fields), meter)
    assert meter.usage == completion.usage
    return completion.draws, meter, canned


async def test_several_completions_come_from_one_call() -> None:
    drawn_, meter, canned = await drawn("vllm", several("a" * 40, "b" * 80, tokens=30), 2)
    assert canned.bodies[0]["n"] == 2
    assert [one and one.text[0] for one in drawn_] == ["a", "b"]
    assert [one and one.usage.completion_tokens for one in drawn_] == [10, 20]
    assert (meter.prompt_tokens, meter.completion_tokens) == (12, 30)
    assert not meter.estimated  # the sum is the server's own, whatever each one's share


async def test_tokens_of_several_are_counted_where_the_server_counts_one() -> None:
    reply = several("7!", "8!", tokens=2, scored=True)
    drawn_, meter, _ = await drawn("llamacpp", reply, 2, logprobs=True)
    assert [one and one.usage.completion_tokens for one in drawn_] == [2, 2]
    assert (meter.completion_tokens, meter.estimated) == (4, False)


@pytest.mark.parametrize(
    ("server", "seed"), [("vllm", 5), ("llamacpp", 5), ("openai", 5), ("sglang", None)]
)
async def test_a_seed_never_makes_the_draws_of_one_call_alike(
    server: str, seed: int | None
) -> None:
    _, _, canned = await drawn(server, several("a", "b", tokens=2), 2, seed=5)
    assert canned.bodies[0].get("seed") == seed


async def test_fewer_completions_than_asked_for_are_what_they_are() -> None:
    drawn_, meter, _ = await drawn("vllm", chat(), 3)
    assert [one and one.text for one in drawn_] == ["7!"]
    assert meter.completion_tokens == 2


async def test_one_completion_that_cannot_be_read_costs_the_others_nothing() -> None:
    reply = several("a", "b", "c", tokens=9)
    reply["choices"][1]["message"] = {"content": None}
    drawn_, meter, _ = await drawn("vllm", reply, 3)
    assert [one and one.text for one in drawn_] == ["a", None, "c"]
    assert meter.completion_tokens == 9


async def test_completions_none_of_which_can_be_read_are_billed_and_refused() -> None:
    reply, meter = several("", "", tokens=9), Meter()
    for choice in reply["choices"]:
        choice["message"] = {"content": None}
    async with Canned(reply).serve(provider("vllm")) as backend:
        with pytest.raises(InvalidResponse, match="no text"):
            await backend.generate(asking(n=2), meter)
    assert (meter.prompt_tokens, meter.completion_tokens) == (12, 9)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_refuses_so_many_is_told_apart(status: int) -> None:
    refusal = httpx.Response(status, json={"error": {"message": "n is too large"}})
    meter = Meter()
    async with Canned(refusal).serve(provider("vllm")) as backend:
        with pytest.raises(ConfigError, match="refuses 3 completions"):
            await backend.generate(asking(n=3), meter)
    assert meter.total_tokens == 0


async def test_a_failure_is_no_refusal() -> None:
    refusal, meter = httpx.Response(401, json={}), Meter()
    async with Canned(refusal).serve(provider("vllm")) as backend:
        with pytest.raises(AuthenticationError):
            await backend.generate(asking(n=3), meter)
    assert meter.total_tokens == 0


async def test_a_server_that_makes_one_is_not_asked_for_several() -> None:
    with pytest.raises(ConfigError, match="'n'"):
        await drawn("ollama", chat(), 2)


async def test_a_given_text_is_scored_once() -> None:
    with pytest.raises(ConfigError, match="score"):
        await drawn("vllm", chat(), 2, given="x")


TOOL = {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}}
CALLED = [
    {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}},
    {"id": "b", "type": "function", "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}},
]


async def test_functions_are_offered_and_calls_are_read() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": CALLED}
    server = Canned(chat(message=message, finish_reason="tool_calls"))
    said = await server.ask(provider(server="openai"), tools=(TOOL,))
    assert server.bodies[0]["tools"] == [{"type": "function", "function": TOOL}]
    assert (said.text, said.finish_reason) == ("", "stop")
    assert [(call.name, call.arguments) for call in said.tool_calls] == [
        ("add", '{"a": 1, "b": 2}'),
        ("add", '{"a": 3, "b": 4}'),
    ]


async def test_calls_are_read_from_a_stream() -> None:
    def part(index: int, **function: str) -> dict[str, Any]:
        return {"delta": {"tool_calls": [{"index": index, "function": function}]}}

    parts = [
        part(0, name="add", arguments=""),
        part(0, arguments='{"a": 1, '),
        part(0, arguments='"b": 2}'),
        part(1, name="add", arguments="{}"),
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    server = Canned(events(*({"choices": [each]} for each in parts)))
    heard: list[str] = []
    said = await server.ask(provider(server="openai"), heard=heard, tools=(TOOL,))
    assert [call.arguments for call in said.tool_calls] == ['{"a": 1, "b": 2}', "{}"]
    assert (said.text, "".join(heard)) == ("", "")
    assert said.usage.completion_tokens > 0


async def test_a_call_that_nobody_offered_is_refused() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": CALLED}
    with pytest.raises(InvalidResponse, match="nobody offered"):
        await Canned(chat(message=message)).ask(provider(server="openai"))


async def test_a_model_that_knows_no_functions_is_not_asked() -> None:
    server = Canned(chat())
    with pytest.raises(ConfigError, match="has no 'tools'"):
        await server.ask(provider(server="unknown"), tools=(TOOL,))
    assert server.bodies == []
