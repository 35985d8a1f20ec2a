from __future__ import annotations

import json

from tts.executed import Executed, Step


def step(number: int, start: float, end: float, *after: int, **more: object) -> Step:
    fields = {"emitted": 0.0, "state": "succeeded", "started": start, "finished": end, **more}
    return Step.model_validate({"id": number, "after": after, **fields})


def test_bounds_of_a_streamed_graph() -> None:
    done = Executed(
        steps=(step(1, 0, 2), step(2, 3, 4, 1, emitted=1.0), step(3, 5, 6, emitted=5.0)), slots=1
    )
    assert done.work == 4.0
    assert done.critical_path == 3.0
    assert done.streamed_ideal == 6.0
    assert done.lower_bound == 6.0
    assert done.makespan == 6.0


def test_slots_bound_what_width_does_not() -> None:
    done = Executed(steps=tuple(step(number, 0, 2) for number in range(4)), slots=2)
    assert (done.streamed_ideal, done.lower_bound) == (2.0, 4.0)


def test_a_shared_call_is_no_work() -> None:
    done = Executed(steps=(step(1, 0, 2), step(2, 0, 2, same_as=1)), slots=1)
    assert (done.work, done.lower_bound, done.overhead) == (2.0, 2.0, 0.0)


def test_nothing_takes_no_time() -> None:
    done = Executed()
    assert (done.work, done.makespan, done.lower_bound, done.overhead) == (0, 0, 0, 0)


def test_the_report_is_json() -> None:
    report = Executed(steps=(step(1, 0, 2),)).report()
    assert json.loads(json.dumps(report)) == report
