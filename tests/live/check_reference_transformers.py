"""The bundled model in transformers, which judges our engine: `make test-live`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.live import heldout
from tests.live.heldout import LIMIT, MODEL, Written
from tests.live.texts import awkward
from tts import Meter
from tts.backends.reference.export.to_huggingface import to_huggingface
from tts.backends.transformers import Transformers
from tts.messages import Message, Request

pytestmark = pytest.mark.anyio

PROMPTS = 200
TOLERANCE = 1e-3
BATCH = 25


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the weights."""
    return to_huggingface(MODEL, tmp_path_factory.mktemp("huggingface"))


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def network(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()


@pytest.fixture(scope="session")
def ours() -> tuple[Written, ...]:
    return heldout.written(PROMPTS)


def test_texts_have_our_tokens_and_come_back(tokenizer: Any, ours: Sequence[Written]) -> None:
    # A runtime reads the spelling of a control token as that token; ours keeps it a text.
    texts = [text for text in awkward(4000) if "<think1>" not in text and "<|end|>" not in text]
    for text in [*texts, *(each.prompt for each in ours), *(each.text for each in ours)]:
        ids = tokenizer(text)["input_ids"]
        assert ids == heldout.tokenizer().encode(text)
        assert tokenizer.decode(ids) == text


def test_the_template_gives_our_prompts(tokenizer: Any) -> None:
    rng = random.Random(0)
    contents = [text for text in awkward(2000) if text and "<" not in text]
    while len(contents) >= 4:
        turns = [contents.pop() for _ in range(rng.randint(1, 4))]
        words = [
            Message(role=rng.choice(("system", "user", "assistant")), content=t) for t in turns
        ]
        words[-1] = words[-1].model_copy(update={"role": "user"})  # ours goes on with the other's
        ids = tokenizer.apply_chat_template(
            [{"role": each.role, "content": each.content} for each in words],
            add_generation_prompt=True,
            return_dict=True,
        )["input_ids"]
        assert tuple(ids) == heldout.renderer().prompt(words)


def test_generate_writes_the_same_tokens(network: Any, ours: Sequence[Written]) -> None:
    parted = []
    for start in range(0, len(ours), BATCH):
        some = ours[start : start + BATCH]
        longest = max(len(each.ids) for each in some)
        ids = [[0] * (longest - len(each.ids)) + list(each.ids) for each in some]
        mask = [[0] * (longest - len(each.ids)) + [1] * len(each.ids) for each in some]
        with torch.inference_mode():
            out = network.generate(
                input_ids=torch.tensor(ids),
                attention_mask=torch.tensor(mask),
                do_sample=False,
                max_new_tokens=LIMIT,
            )
        for each, line in zip(some, out[:, longest:].tolist(), strict=True):
            reason = heldout.differing(each, line[: len(each.tokens)])
            parted += [reason] if reason else []
    assert parted == []


def test_every_token_has_the_same_log_probability(network: Any, ours: Sequence[Written]) -> None:
    worst = 0.0
    for each in ours:
        with torch.inference_mode():
            logits = network(torch.tensor([each.ids + each.tokens])).logits[0]
        logs = torch.log_softmax(logits[len(each.ids) - 1 : -1].double(), -1)
        theirs = logs.gather(1, torch.tensor(each.tokens)[:, None])[:, 0]
        worst = max(worst, float((theirs - torch.tensor(each.logprobs)).abs().max()))
    assert worst < TOLERANCE


async def test_the_backend_transformers_writes_the_same_words(
    folder: Path, ours: Sequence[Written]
) -> None:
    async with Transformers(model=str(folder), dtype="float32").open() as backend:
        for each in ours[:12]:
            request = Request(
                messages=(Message(role="user", content=each.prompt),),
                temperature=0.0,
                max_tokens=LIMIT,
                logprobs=True,
            )
            assert backend.prompt_tokens(request) == len(each.ids)
            completion = await backend.generate(request, Meter())
            assert completion.text == each.text
            found = [entry.logprob for entry in completion.logprobs or ()]
            assert found == pytest.approx(each.logprobs[: len(found)], abs=TOLERANCE)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
