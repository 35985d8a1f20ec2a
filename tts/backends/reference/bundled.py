"""The models that come with the library: where the files of each are.

The main model lies in `weights/`; another, called NAME, in `weights/NAME/` with its own
`config.json` and `model.safetensors`. The tokenizer is the main model's unless there is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tts.errors import ConfigError

__all__ = ["MAIN", "WEIGHTS", "ModelFiles", "bundled", "in_folder", "names"]

MAIN: Final = "main"
"""The name of the model that is used where none is named."""
WEIGHTS: Final = Path(__file__).with_name("weights")
"""The folder of the bundled models."""
_CONFIG, _TENSORS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files that make a model.

    Attributes:
        name: What it calls itself, such as `reference-draft`.
        config: Its `config.json`.
        tensors: Its `model.safetensors`.
        tokenizer: A `tokenizer.json`, perhaps shared with other models.
    """

    name: str
    config: Path
    tensors: Path
    tokenizer: Path


def names() -> tuple[str, ...]:
    """Return the names of the bundled models: the main one, then the others, sorted."""
    return (MAIN, *sorted(path.parent.name for path in WEIGHTS.glob(f"*/{_CONFIG}")))


def bundled(name: str = MAIN) -> ModelFiles:
    """Return the files of a bundled model.

    Args:
        name: One of `names`.

    Raises:
        ConfigError: If there is no such model; the message lists the known ones.
    """
    if name not in names():
        raise ConfigError(f"unknown model {name!r}; known: {', '.join(names())}")
    folder = WEIGHTS if name == MAIN else WEIGHTS / name
    own = folder / _TOKENIZER
    return ModelFiles(
        name="reference" if name == MAIN else f"reference-{name}",
        config=folder / _CONFIG,
        tensors=folder / _TENSORS,
        tokenizer=own if own.is_file() else WEIGHTS / _TOKENIZER,
    )


def in_folder(folder: Path) -> ModelFiles:
    """Return the files of a model of one's own; its tokenizer lies beside its weights."""
    return ModelFiles("reference", folder / _CONFIG, folder / _TENSORS, folder / _TOKENIZER)
