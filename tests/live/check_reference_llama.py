"""The bundled model in llama.cpp's server, which judges our engine: `make test-live`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import pytest

from tests.live import heldout
from tests.live.contract import *  # noqa: F403  # the tests of every model
from tests.live.contract import asking
from tests.live.heldout import LIMIT, MODEL, Written
from tests.live.servers import Served, serving
from tests.live.texts import awkward
from tts import Candidate, Meter, Pipeline, Problem, Solution, open_solver, solve
from tts.backends.reference.export.chat import spaced, unspaced
from tts.backends.reference.export.to_gguf import to_gguf
from tts.messages import Completion, Message

pytestmark = pytest.mark.anyio

PROMPTS = 200
TOLERANCE = 1e-3
"""Nats that a token's log-probability may be off."""
EXACT = ("-ctk", "f32", "-ctv", "f32", "-fa", "off")
"""Everything in float32; keys and values in float16, the server's default, are off by 1e-2."""
SCALED = 96
"""Problems that accuracies are taken on."""
LEVELS = [6, 7, 8] if MODEL.name == "reference" else [3, 4, 5]
"""Their operations: neither all nor none are solved. Smaller models know less."""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Export the weights and start the server on them."""
    model = to_gguf(MODEL, tmp_path_factory.mktemp("gguf"))
    question = heldout.problems(1, levels=[8])[0].text
    with serving(
        model,
        *EXACT,
        alias="reference",
        slots=8,
        context=1024,
        question=f"{question}\n\nSolve step by step.",
        raw=f"<|user|>{spaced(question)}<|end|><|assistant|>",
    ) as started:
        yield started


@pytest.fixture(scope="session")
def ours() -> tuple[Written, ...]:
    return heldout.written(PROMPTS)


def tokenized(served: Served, text: str, *, controls: bool) -> list[int]:
    body = {"content": text, "add_special": controls, "parse_special": controls}
    tokens: list[int] = served.post("/tokenize", body)["tokens"]
    return tokens


def test_texts_have_our_tokens(served: Served, ours: Sequence[Written]) -> None:
    texts = [*awkward(2000), *(each.prompt for each in ours), *(each.text for each in ours)]
    for text in texts:
        found = tokenized(served, spaced(text), controls=False)
        assert found == heldout.tokenizer().encode(text), text


def test_the_template_gives_our_prompts(served: Served) -> None:
    rng = random.Random(0)
    contents = [text for text in awkward(1500, indented=False) if text and "<" not in text]
    while len(contents) >= 4:
        turns = [contents.pop() for _ in range(rng.randint(1, 4))]
        words = [
            Message(role=rng.choice(("system", "user", "assistant")), content=t) for t in turns
        ]
        words[-1] = words[-1].model_copy(update={"role": "user"})
        body = {"messages": [{"role": each.role, "content": each.content} for each in words]}
        text = served.post("/apply-template", body)["prompt"]
        assert tuple(tokenized(served, text, controls=True)) == heldout.renderer().prompt(words)


def test_from_the_same_tokens_come_the_same_tokens(served: Served, ours: Sequence[Written]) -> None:
    body = {"n_predict": LIMIT, "temperature": 0.0, "return_tokens": True, "n_probs": 1}
    parted, worst = [], 0.0
    for each in ours:
        answer = served.post("/completion", body | {"prompt": each.ids, "cache_prompt": False})
        places = answer["completion_probabilities"]
        tokens = [place["id"] for place in places]
        if reason := heldout.differing(each, tokens):
            parted.append(reason)
            continue
        pairs = zip(places, each.logprobs, strict=True)
        worst = max(worst, *(abs(place["logprob"] - own) for place, own in pairs))
    assert parted == []
    assert worst < TOLERANCE


async def completions(served: Served, texts: Sequence[str]) -> list[Completion]:
    found: dict[int, Completion] = {}
    async with served.provider(concurrency=served.slots).open() as backend:
        slots = anyio.CapacityLimiter(served.slots)

        async def one(index: int) -> None:
            request = asking(texts[index], temperature=0.0, max_tokens=LIMIT, logprobs=True)
            async with slots:
                found[index] = await backend.generate(request, Meter())

        async with anyio.create_task_group() as tasks:
            for index in range(len(texts)):
                tasks.start_soon(one, index)
    return [found[index] for index in range(len(texts))]


async def test_from_the_same_words_come_the_same_words(
    served: Served, ours: Sequence[Written]
) -> None:
    answers = await completions(served, [each.prompt for each in ours])
    assert [unspaced(answer.text) for answer in answers] == [each.text for each in ours]
    for each, answer in zip(ours, answers, strict=True):
        assert answer.usage.prompt_tokens == len(each.ids)
        assert answer.usage.completion_tokens == len(each.tokens)
        entries = answer.logprobs or ()
        assert len(each.tokens) - 1 <= len(entries) <= len(each.tokens)
        own = each.logprobs[: len(entries)]
        assert [entry.logprob for entry in entries] == pytest.approx(own, abs=TOLERANCE)


async def test_an_answer_can_be_asked_about_as_it_came(
    served: Served, ours: Sequence[Written]
) -> None:
    asked, told = ours[0], Message(role="user", content="Is the solution correct?")
    question = Message(role="user", content=asked.prompt)
    texts = (spaced(asked.text), asked.text)
    used = []
    async with served.provider().open() as backend:
        for text in texts:
            words = (question, Message(role="assistant", content=text), told)
            completion = await backend.generate(asking("", messages=words), Meter())
            used.append((completion.text, completion.usage.prompt_tokens))
    assert used[0] == used[1]


async def test_the_assistants_words_are_continued(served: Served, ours: Sequence[Written]) -> None:
    asked = ours[2]
    begun, rest = asked.text.split("\n", 1)
    words = (
        Message(role="user", content=asked.prompt),
        # The server puts them behind the prompt as they are, so they have to bring their spaces.
        Message(role="assistant", content=spaced(begun) + "\n"),
    )
    async with served.provider().open() as backend:
        request = asking("", messages=words, temperature=0.0, max_tokens=LIMIT)
        completion = await backend.generate(request, Meter())
    assert unspaced(completion.text) == rest


async def solved(served: Served, problems: Sequence[Problem]) -> list[Solution]:
    pipeline = Pipeline.model_validate(
        {
            "models": {"solver": served.provider(sampling={"max_tokens": LIMIT})},
            "strategy": {"use": "self_consistency", "samples": 8, "stop": "never"},
        }
    )
    found: dict[int, Solution] = {}
    async with open_solver(pipeline) as solver, anyio.create_task_group() as tasks:
        slots = anyio.CapacityLimiter(4)

        async def one(index: int) -> None:
            async with slots:
                found[index] = await solver.solve(problems[index], seed=index)

        for index in range(len(problems)):
            tasks.start_soon(one, index)
    return [found[index] for index in range(len(problems))]


async def test_accuracy_grows_with_samples(
    served: Served, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = heldout.problems(SCALED, levels=LEVELS)
    solutions = await solved(served, [Problem(text=each.text) for each in drawn])
    assert all(each.failed_calls == 0 and each.usage.calls == 8 for each in solutions)
    right = [str(each.answer) for each in drawn]
    pairs = list(zip(right, solutions, strict=True))
    alone = sum(_share(answer, each.candidates) for answer, each in pairs) / SCALED
    voted = sum(each.answer == answer for answer, each in pairs) / SCALED
    record_property("pass@1", alone)
    record_property("maj@8", voted)
    with capsys.disabled():
        print(f" pass@1 {alone:.3f}, maj@8 {voted:.3f} on {SCALED} problems", end=" ")  # noqa: T201  # the figures are the point
    assert voted > alone


def _share(right: str, candidates: Sequence[Candidate]) -> float:
    return Counter(each.answer for each in candidates)[right] / len(candidates)


async def test_a_vote_that_is_decided_ends(served: Served) -> None:
    text = heldout.problems(1, levels=[2])[0].text
    model = served.provider(sampling={"max_tokens": LIMIT})
    solution = await solve(text, {"use": "self_consistency", "samples": 16}, model=model)
    assert solution.status == "ok"
    assert solution.usage.calls < 16
