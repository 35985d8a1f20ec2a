from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import Budget, Pipeline, Solution
from tts.backends import Given
from tts.messages import Request
from tts.problem import Candidate
from tts.solver import open_solver
from tts.stopping import Dominance, Never, StoppingRule
from tts.stopping.beta import Beta
from tts.stopping.e_process import EProcess
from tts.stopping.esc import ESC
from tts.stopping.replay import replay
from tts.strategies.self_consistency import SelfConsistency
from tts.testing import ScriptedBackend, candidate, virtual_run
from tts.votes import Tally

RULES: list[StoppingRule] = [Never(), Dominance(), Beta(), ESC(), EProcess(delta=0.2)]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def solve(stop: StoppingRule, share: float, seed: int, n: int = 20) -> Solution:
    """Solve with a model that gives one answer with this chance, else others, or none."""

    def answer(request: Request) -> str:
        rng = random.Random(request.seed)
        said = "1" if rng.random() < share else rng.choice(["2", "3", "unclear"])
        return "Nobody knows" if said == "unclear" else f"Answer: {said}"

    pipeline = Pipeline(
        models={"m": Given(backend=ScriptedBackend(answer, latency=1.0))},
        strategy=SelfConsistency(samples=n, stop=stop),
        budget=Budget(),
    )

    async def main() -> Solution:
        async with open_solver(pipeline) as solver:
            return await solver.solve(pipeline.problem("What is it?"), seed=seed)

    return virtual_run(main)


@every_rule
@pytest.mark.parametrize(("share", "seed"), [(0.9, 1), (0.6, 2), (0.4, 3)])
def test_a_replay_does_what_the_run_did(rule: StoppingRule, share: float, seed: int) -> None:
    live, full = solve(rule, share, seed), solve(Never(), share, seed)
    replayed = replay(rule, full.candidates, 20)
    assert replayed.stopped_by == live.stopped_by
    assert replayed.samples == len(live.candidates)
    assert replayed.launched == live.usage.calls
    leader = Tally.of(live.candidates).leader
    assert replayed.key == (leader.group if leader else None)
    assert 2 * replayed.rounds == live.usage.critical_completion_tokens  # two tokens a call
    assert replayed.critical_tokens == live.usage.critical_tokens
    assert replayed.total_tokens == live.usage.total_tokens


def drawn(answers: list[str | None]) -> list[Candidate]:
    return [candidate(answer, ticket=ticket) for ticket, answer in enumerate(answers)]


ANSWERS = st.lists(st.sampled_from(["1", "1", "1", "2", None]), min_size=1, max_size=30)


@every_rule
@given(answers=ANSWERS)
def test_speculation_trades_tokens_for_rounds(
    rule: StoppingRule, answers: list[str | None]
) -> None:
    runs = [replay(rule, drawn(answers), len(answers), speculate=extra) for extra in (0, 2, 8)]
    assert len({(run.key, run.samples) for run in runs}) == 1
    assert [run.tokens for run in runs] == sorted(run.tokens for run in runs)
    assert [run.rounds for run in runs] == sorted((run.rounds for run in runs), reverse=True)
    critical = [run.critical_tokens for run in runs]
    assert critical == sorted(critical, reverse=True)
    assert runs[0].launched == runs[0].samples


@given(answers=ANSWERS)
def test_dominance_answers_as_the_full_vote(answers: list[str | None]) -> None:
    full, early = (replay(rule, drawn(answers), len(answers)) for rule in (Never(), Dominance()))
    assert early.key == full.key
    assert early.samples <= full.samples == len(answers)


def test_failed_tickets_use_up_their_place() -> None:
    run = replay(Beta(), [candidate("1", ticket=ticket) for ticket in (0, 3, 4, 5)], 9)
    assert (run.samples, run.stopped_by is not None) == (6, True)
