"""A folder that `transformers` loads: the model's own files, and what a chat needs beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tts.backends.reference.bundled import ModelFiles
from tts.backends.reference.export.chat import PLAIN

__all__ = ["to_huggingface"]


def to_huggingface(files: ModelFiles, out: Path) -> Path:
    """Write a model as a Hugging Face folder; float16, as it is stored.

    Args:
        files: The model.
        out: Where the folder `NAME` is made; what stands there under the same names is replaced.

    Returns:
        The folder.
    """
    folder = out / files.name
    folder.mkdir(parents=True, exist_ok=True)
    for source in (files.config, files.tensors, files.tokenizer):
        shutil.copyfile(source, folder / source.name)
    config = json.loads(files.config.read_bytes())
    tokens = {each["id"]: each["content"] for each in _added(files)}
    end, pad = config["eos_token_id"], config["pad_token_id"]
    named = {"eos_token": tokens[end], "pad_token": tokens[pad]}
    _write(folder / "generation_config.json", {"eos_token_id": end, "pad_token_id": pad})
    _write(folder / "special_tokens_map.json", named)
    _write(
        folder / "tokenizer_config.json",
        {
            **named,
            # The class that takes tokenizer.json as it is.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": {
                str(each["id"]): {key: each[key] for key in each if key != "id"}
                for each in _added(files)
            },
            # The file's decoder is exact; cleaning up would join "3 ." to "3.".
            "clean_up_tokenization_spaces": False,
            "model_max_length": config["max_position_embeddings"],
            "chat_template": PLAIN,
        },
    )
    return folder


def _added(files: ModelFiles) -> list[dict[str, Any]]:
    """Return the control tokens as the tokenizer's file describes them."""
    added: list[dict[str, Any]] = json.loads(files.tokenizer.read_bytes())["added_tokens"]
    return added


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
