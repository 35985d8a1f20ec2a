"""`python -m tts.backends.reference.training`: train the bundled model."""

from __future__ import annotations

import argparse
from pathlib import Path

from tts.backends.reference.training.roles import MIXES
from tts.backends.reference.training.train import Plan, Run


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m tts.backends.reference.training")
    parser.add_argument("--hours", type=float, required=True, help="wall-clock time in all")
    parser.add_argument("--seed", type=int, default=0, help="of data and first weights")
    parser.add_argument("--out", type=Path, required=True, help="folder; taken up where it stands")
    parser.add_argument("--layers", type=int, default=6, help="3 makes the draft model")
    parser.add_argument("--width", type=int, default=128, help="a multiple of 32")
    parser.add_argument("--adam", action="store_true", help="Adam for the matrices too, not Muon")
    parser.add_argument("--prompt-weight", type=float, default=0.0, help="loss on problem texts")
    parser.add_argument("--start", type=Path, help="an earlier run or a model to go on from")
    parser.add_argument("--mix", choices=sorted(MIXES), default="all", help="what is taught")
    parser.add_argument("--levels", type=int, nargs="+", default=[], help="operations; all")
    parser.add_argument("--peak", type=float, default=1.0, help="highest share of the full rates")
    given = parser.parse_args()
    plan = Plan(
        given.hours,
        given.seed,
        given.out,
        given.layers,
        given.width,
        muon=not given.adam,
        prompt_weight=given.prompt_weight,
        start=given.start,
        mix=given.mix,
        levels=tuple(given.levels),
        peak=given.peak,
    )
    Run(plan).train()


if __name__ == "__main__":
    main()
