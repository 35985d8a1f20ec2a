"""The transformers backend on a tiny model with random weights: `make transformers-test`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.contracts import test_backends as contract
from tts import Budget, ConfigError, ContextLengthExceeded, Meter, solve
from tts.backends import Backend
from tts.backends.transformers import Transformers
from tts.messages import Message, Request

pytestmark = pytest.mark.anyio

TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer without merges, and a network that knows nothing."""
    path = tmp_path_factory.mktemp("model")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<end>", *alphabet])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=0,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path


@pytest.fixture
async def backend(folder: Path) -> AsyncIterator[Backend]:
    async with Transformers(model=str(folder), max_batch=4).open() as opened:
        yield opened


test_backend_is_a_backend = contract.test_backend_is_a_backend
test_meter_agrees_with_the_usage = contract.test_meter_agrees_with_the_usage
test_same_seed_gives_the_same_text = contract.test_same_seed_gives_the_same_text
test_max_tokens_is_respected = contract.test_max_tokens_is_respected
test_logprobs_come_when_asked_for = contract.test_logprobs_come_when_asked_for
test_alternatives_come = contract.test_alternatives_come_when_asked_for_best_first
test_a_given_text_is_scored = contract.test_a_given_text_is_scored_and_not_continued
test_cancelled_call_is_charged = contract.test_cancelled_call_is_charged_for_what_it_used


def asking(text: str = "What?", **fields: Any) -> Request:
    messages = (Message(role="user", content=text),)
    return Request.model_validate({"messages": messages, "max_tokens": 24, "seed": 3} | fields)


async def test_rows_of_any_length_decode_together_as_they_would_alone(backend: Backend) -> None:
    asked = [
        asking("x" * length, seed=length, max_tokens=5 + length) for length in (1, 9, 30, 2, 7)
    ]
    alone = [(await backend.generate(request, Meter())).text for request in asked]
    together: dict[int, str] = {}

    async def one(index: int) -> None:
        together[index] = (await backend.generate(asked[index], Meter())).text

    async with anyio.create_task_group() as tasks:
        for index in range(len(asked)):
            tasks.start_soon(one, index)
    assert [together[index] for index in range(len(asked))] == alone


async def test_scores_are_those_of_the_network(backend: Backend, folder: Path) -> None:
    completion = await backend.generate(asking(given="keys"), Meter())
    network = LlamaForCausalLM.from_pretrained(folder).eval()
    text = "<user>What?<assistant>"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    prompt, given = (tokenizer(each)["input_ids"] for each in (text, "keys"))
    with torch.inference_mode():
        logs = torch.log_softmax(network(torch.tensor([prompt + given])).logits[0].double(), -1)
    places = range(len(prompt) - 1, len(prompt) + len(given) - 1)
    expected = [float(logs[place, token]) for place, token in zip(places, given, strict=True)]
    assert [entry.token for entry in completion.logprobs or ()] == list("keys")
    found = [entry.logprob for entry in completion.logprobs or ()]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


async def test_sampled_logprobs_are_those_of_scoring(backend: Backend) -> None:
    sampled = await backend.generate(asking(logprobs=True), Meter())
    entries = sampled.logprobs or ()
    assert "".join(entry.token for entry in entries) == sampled.text
    assert len(entries) == 24


@pytest.mark.parametrize("stop", [(), ("e",), ("zq", "x")])
async def test_a_stream_is_the_text_in_pieces(backend: Backend, stop: tuple[str, ...]) -> None:
    heard: list[str] = []
    for seed in range(6):
        heard.clear()
        request = asking(seed=seed, stop=stop, max_tokens=60)
        completion = await backend.generate(request, Meter(listener=heard.append))
        assert "".join(heard) == completion.text
        assert not any(each in completion.text for each in stop)


async def test_the_assistants_words_are_continued(backend: Backend) -> None:
    words = (Message(role="user", content="What?"), Message(role="assistant", content="It is"))
    assert backend.prompt_tokens(asking(messages=words)) == len("<user>What?<assistant>It is")


async def test_what_the_template_refuses_is_a_config_error(backend: Backend) -> None:
    words = (Message(role="system", content="x"), Message(role="user", content="y"))
    with pytest.raises(ConfigError, match="no system"):
        await backend.generate(asking(messages=words), Meter())


async def test_a_prompt_that_does_not_fit(backend: Backend) -> None:
    with pytest.raises(ContextLengthExceeded):
        await backend.generate(asking("x" * 600), Meter())


async def test_a_vote_from_end_to_end(folder: Path) -> None:
    model = {"backend": "transformers", "model": str(folder), "sampling": {"max_tokens": 16}}
    strategy = {"use": "best_of_n", "samples": 6, "verifier": "logprob"}
    solution = await solve("What?", strategy, model=model, budget=Budget(total_tokens=2000))
    assert solution.usage.calls == 6
    assert solution.usage.cost_usd == 0.0


async def test_a_folder_without_a_model_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot load"):
        async with Transformers(model=str(tmp_path)).open():
            raise AssertionError


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
