"""`python -m tts.backends.reference.export`: write a bundled model for another runtime."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from tts.backends.reference.bundled import MAIN, bundled, in_folder
from tts.backends.reference.export.to_gguf import Precision, to_gguf
from tts.backends.reference.export.to_huggingface import to_huggingface
from tts.errors import ConfigError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the model and print where.

    Raises:
        SystemExit: With code 2 and one line on the error stream, if something asked for is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tts.backends.reference.export", description=__doc__
    )
    parser.add_argument("--format", choices=("gguf", "huggingface"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--model", default=MAIN, help="name of a bundled model (default: main)")
    source.add_argument("--folder", type=Path, help="folder of a model of the same format")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="f32", help="of a GGUF's matrices"
    )
    given = parser.parse_args(arguments)
    try:
        files = bundled(given.model) if given.folder is None else in_folder(given.folder)
        if given.format == "gguf":
            written = to_gguf(files, given.out, cast(Precision, given.precision))
        else:
            written = to_huggingface(files, given.out)
    except (ConfigError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    sys.stdout.write(f"{written}\n")


if __name__ == "__main__":
    main()
