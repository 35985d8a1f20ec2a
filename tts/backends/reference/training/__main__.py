"""`python -m tts.backends.reference.training`: train the bundled model."""

from __future__ import annotations

import argparse
from pathlib import Path

from tts.backends.reference.training.train import Plan, Run


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m tts.backends.reference.training")
    parser.add_argument("--hours", type=float, required=True, help="wall-clock time in all")
    parser.add_argument("--seed", type=int, default=0, help="of data and first weights")
    parser.add_argument("--out", type=Path, required=True, help="folder; taken up where it stands")
    parser.add_argument("--init", type=Path, help="folder of a model to go on from")
    given = parser.parse_args()
    Run(Plan(given.hours, given.seed, given.out, given.init)).train()


if __name__ == "__main__":
    main()
