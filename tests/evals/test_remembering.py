from __future__ import annotations

import tts
from tts.evals.bench.remembering import Remembering
from tts.testing import ScriptedBackend, virtual_run


def solve(backend: tts.Backend, strategy: object) -> tts.Solution:
    return virtual_run(lambda: tts.solve("q", strategy, model=backend, seed=3))  # type: ignore[arg-type]  # parsed


def plain(samples: int) -> dict[str, object]:
    return {"use": "self_consistency", "samples": samples, "stop": "never"}


def test_a_smaller_sample_is_part_of_a_larger_one_and_paid_for_alike() -> None:
    inner = ScriptedBackend(lambda request: f"Answer: {(request.seed or 0) % 3}")
    backend = Remembering(inner)
    large, small = solve(backend, plain(8)), solve(backend, plain(4))
    assert len(inner.requests) == backend.drawn == 8
    assert [c.text for c in small.candidates] == [c.text for c in large.candidates[:4]]
    assert (small.usage.calls, small.usage.total_tokens) == (4, large.usage.total_tokens // 2)


def test_who_reads_more_of_each_token_asks_again_and_who_reads_less_does_not() -> None:
    inner = ScriptedBackend(lambda request: "Answer: 1")
    backend = Remembering(inner)
    for vote, drawn in [("plurality", 4), ("confidence", 8), ("deepconf", 12), ("confidence", 12)]:
        solve(backend, plain(4) | {"vote": vote})
        assert backend.drawn == drawn
    assert backend.asked == 16
