"""Calibrations on halves: what is a share of all halves, and what of those that certified."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import numpy as np
import pytest

from tts.evals.bench.stopping import show
from tts.evals.bench.stopping_report import Halves, Outcome, halves
from tts.stopping.calibration import Target

TARGET = Target.parse("disagreement<=0.05")


def failing(share: float, problems: int = 500) -> Outcome:
    """Return a setting that answers otherwise on a share of the problems, and costs 1 on each."""
    differs = np.zeros(problems)
    differs[: round(share * problems)] = 1.0
    ones = np.ones(problems)
    each = {field.name: ones for field in fields(Outcome)}
    return Outcome(**{**each, "differs": np.random.default_rng(0).permutation(differs)})


@pytest.mark.long
def test_a_false_certificate_is_counted_among_all_halves() -> None:
    """400 halves, of which about 1% certify: none would by chance 1 time in 50, and 10% never.

    Negative control: a setting that keeps the level is certified on more than a tenth of them.
    """
    found = halves([failing(0.052)], failing(0.0), TARGET, 0.1)
    assert 0.0 < found.certified < 0.1
    assert found.exceeds == found.certified
    kept = halves([failing(0.03)], failing(0.0), TARGET, 0.1)
    assert kept.certified > 0.1
    assert kept.exceeds == 0.0


def test_a_setting_that_keeps_the_level_never_exceeds_it() -> None:
    found = halves([failing(0.0)], failing(0.0), TARGET, 0.1)
    assert (found.certified, found.fails, found.exceeds) == (1.0, 0.0, 0.0)


def test_where_nothing_is_certified_nothing_is_said_to_be_saved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = halves([failing(0.5)], failing(0.0), TARGET, 0.1)
    assert found == Halves(str(TARGET), 0.0, None, None, 0.0)
    assert json.loads(json.dumps(asdict(found)))["saved"] is None
    show([], {"beta": [found]}, {})
    assert "certified 0% | saved - | fails - | exceeds the level 0.0% of all" in (
        capsys.readouterr().out
    )
