"""What every stopping rule saves, and what it gives up, on the bundled model's held-out problems.

    python -m tts.evals.bench.stopping [--json] [--quick] [--problems N] [--calibration N]
        [--samples N] [--levels A B] [--split test|develop] [--out DIR] [--plot FILE.png]

Samples are drawn once and kept in OUT; a run that was killed goes on where it stood, and every rule
is replayed on the same samples in ticket order. Calibrated rules are certified on problems of the
split `develop` and measured on `test`, which share none; besides, each ladder is calibrated on many
random halves of the measured problems and judged on the other halves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from tts.calibration_curve import setting
from tts.errors import NotCertifiable
from tts.evals.bench.reference_levels import WEIGHTS
from tts.evals.bench.stopping_draws import Drawn, Draws, candidates_of
from tts.evals.bench.stopping_report import (
    SPECULATE,
    Halves,
    Row,
    frontier,
    halves,
    most_saving,
    outcomes,
    row_of,
)
from tts.evals.statistics import Interval
from tts.pictures import require_plot, save
from tts.stopping import Dominance, Never, StoppingRule
from tts.stopping.any_of import AnyOf
from tts.stopping.beta import Beta
from tts.stopping.calibration import Recording, Target
from tts.stopping.certaindex import Certaindex
from tts.stopping.deepconf import DeepConf
from tts.stopping.e_process import EProcess
from tts.stopping.esc import ESC
from tts.stopping.saturation import Saturation

DELTA: Final = 0.1
TARGETS: Final = tuple(
    Target.parse(text)
    for text in (
        *("disagreement<=0.01", "disagreement<=0.02", "disagreement<=0.05"),
        *("error<=0.35", "error<=0.4", "error<=0.45"),
    )
)
"""The full vote itself is wrong on about a third of these problems."""
_FIRST, _LEADER = EProcess(delta=0.1, target="first"), EProcess(delta=0.1, target="leader")
RULES: Final[dict[str, StoppingRule]] = {
    "never": Never(),
    "dominance": Dominance(),
    "e_process .05": EProcess(delta=0.05),
    "e_process .1": EProcess(delta=0.1),
    "e_process .05 or dominance": AnyOf(),
    "e_process .1 or dominance": AnyOf(rules=(EProcess(delta=0.1), Dominance())),
    "e_process .2 or dominance": AnyOf(rules=(EProcess(delta=0.2), Dominance())),
    "e_process .1 first or dominance": AnyOf(rules=(_FIRST, Dominance())),
    "e_process .1 leader or dominance": AnyOf(rules=(_LEADER, Dominance())),
    "beta .95": Beta(),
    "beta .95 or dominance": AnyOf(rules=(Beta(), Dominance())),
    "esc 5": ESC(),
    "esc 5 or dominance": AnyOf(rules=(ESC(), Dominance())),
    "certaindex .7": Certaindex(),
    "saturation .001": Saturation(),
}
"""Those with `first`, `spending` (no word) and dominance have a proof; the others do not."""
SURE: Final[dict[str, StoppingRule]] = {
    "deepconf high": DeepConf(),
    "deepconf low": DeepConf(keep=0.1),
}
"""Rules that look at how sure the model was."""
LADDERS: Final[dict[str, Sequence[StoppingRule]]] = {
    "beta": Beta.ladder(),
    "beta or dominance": tuple(AnyOf(rules=(each, Dominance())) for each in Beta.ladder()),
    "esc": ESC.ladder(),
    "e_process": EProcess.ladder(),
    "e_process or dominance": AnyOf.ladder(),
    "certaindex": Certaindex.ladder(),
    "saturation": Saturation.ladder(),
}


def recordings(drawn: Sequence[Drawn]) -> list[Recording]:
    """Return problems as rules are replayed on them."""
    return [Recording(tuple(candidates_of(one)), one.right) for one in drawn]


def ladders_of(sure: bool) -> dict[str, Sequence[StoppingRule]]:
    """Return all ladders; `sure` if the samples tell how sure the model was."""
    return {**LADDERS, **({"deepconf": DeepConf.ladder()} if sure else {})}


def certified(known: Sequence[Recording], n: int, sure: bool) -> dict[str, StoppingRule | str]:
    """Return the setting that each ladder's calibration picks for each target, or why it has none.

    As `tts calibrate` does, but that what is saved counts prompts, too.
    """
    found: dict[str, StoppingRule | str] = {}
    every = np.arange(len(known))
    for name, ladder in ladders_of(sure).items():
        each = outcomes(ladder, known, n, 0)
        for target in TARGETS:
            title = f"calibrated {name} {target}"
            try:
                found[title] = ladder[most_saving(each, target, DELTA, every)]
            except NotCertifiable as refusal:
                found[title] = str(refusal)
    return found


def measure(
    rules: dict[str, StoppingRule],
    calibrated: dict[str, StoppingRule],
    problems: Sequence[Recording],
    n: int,
) -> list[Row]:
    """Return the lines of all rules at each number of speculative calls, calibrated ones at 0."""
    rows = []
    for speculate in SPECULATE:
        asked = rules if speculate else {**rules, **calibrated}
        several = list(dict.fromkeys(asked.values()))  # calibrations may agree
        each = dict(zip(several, outcomes(several, problems, n, speculate), strict=True))
        full, esc = each[RULES["never"]], each[RULES["esc 5"]]
        rows += [row_of(name, speculate, each[rule], full, esc) for name, rule in asked.items()]
    return rows


def by_halves(problems: Sequence[Recording], n: int, sure: bool) -> dict[str, list[Halves]]:
    """Return what each ladder's calibration yields on random halves, for each target."""
    found = {}
    for name, ladder in ladders_of(sure).items():
        full, *each = outcomes([Never(), *ladder], problems, n, 0)
        found[name] = [halves(each, full, target, DELTA) for target in TARGETS]
    return found


def _percent(interval: Interval) -> str:
    return f"{interval.mean:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def show(rows: Sequence[Row], split: dict[str, list[Halves]], picked: dict[str, Any]) -> None:
    """Print the tables."""
    titles = ("speculate", "accuracy", "minus full vote", "not full vote's", "saved", "over esc")
    for speculate in SPECULATE:
        print("\n" + " | ".join(("rule", *titles, "critical x", "samples", "rounds")))
        for row in rows:
            if row.speculate == speculate:
                shares = (row.accuracy, row.gain, row.differs, row.saved, row.over_esc)
                cells = [row.name, str(speculate), *map(_percent, shares)]
                cells += [f"{row.critical.mean:.2f}", f"{row.samples.mean:.2f}"]
                print(" | ".join([*cells, f"{row.rounds.mean:.2f}"]))
    print("\ncalibrated on random halves, judged on the other")
    for name, targets in split.items():
        for one in targets:
            print(
                f"{name} {one.target} | certified {one.certified:.0%} | saved {_share(one.saved)}"
                f" | fails {_share(one.fails)} | exceeds the level {one.exceeds:.1%} of all"
            )
    print()
    for title, what in picked.items():
        print(f"{title}: {what}")


def main() -> None:
    """Read the command line, draw what is missing, replay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="few problems and samples")
    parser.add_argument("--problems", type=int, default=250, help="of each level, measured on")
    parser.add_argument("--calibration", type=int, default=125, help="of each level; 0 for none")
    parser.add_argument("--samples", type=int, default=40, help="of the full vote")
    parser.add_argument("--levels", type=int, nargs="+", default=[6, 8])
    parser.add_argument("--split", choices=["test", "develop"], default="test")
    parser.add_argument("--confidence", action="store_true", help="measure deepconf, too")
    parser.add_argument("--out", type=Path, default=Path("build/stopping"))
    parser.add_argument("--plot", type=Path, help="draw what is saved against what differs")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the model")
    given = parser.parse_args()
    if given.plot:
        require_plot()
    count, known, n = given.problems, given.calibration, given.samples
    if given.quick:
        count, known, n = 6, 6, 12
    started, spent = time.monotonic(), time.process_time()
    rest = (n, given.levels, given.weights, given.confidence)
    drawn = Draws(given.out, count, *rest).of(given.split)
    sure = all(one.is_confident for one in drawn)
    rules = {**RULES, **(SURE if sure else {})}
    picked: dict[str, StoppingRule | str] = {}
    if known and given.split == "test":
        developed = Draws(given.out, known, *rest).of("develop")
        picked = certified(recordings(developed), n, sure)
    calibrated = {name: what for name, what in picked.items() if isinstance(what, StoppingRule)}
    problems = recordings(drawn)
    rows, split = measure(rules, calibrated, problems, n), by_halves(problems, n, sure)
    said = {name: what if isinstance(what, str) else setting(what) for name, what in picked.items()}
    if given.plot:
        save(frontier([row for row in rows if not row.speculate]), given.plot)
    if given.json:
        document = {
            "seconds": time.monotonic() - started,
            "cpu": time.process_time() - spent,
            "problems": len(problems),
            "samples": n,
            "rows": [asdict(row) for row in rows],
            "halves": {name: [asdict(one) for one in each] for name, each in split.items()},
            "calibrated": said,
        }
        print(json.dumps(document))
    else:
        show(rows, split, said)
        print(f"\n{len(problems)} problems, {n} samples; {time.process_time() - spent:.0f} s CPU")


if __name__ == "__main__":
    main()
