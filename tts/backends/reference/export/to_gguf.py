"""A GGUF file that llama.cpp and what builds on it load; needs the extra `export`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tts.backends.reference.bundled import ModelFiles
from tts.backends.reference.export.chat import SPACED
from tts.backends.reference.weights import LlamaConfig, Tensors, load_config, load_tensors
from tts.errors import ConfigError

if TYPE_CHECKING:
    from gguf import GGUFWriter

__all__ = ["Precision", "to_gguf"]

Precision = Literal["f32", "f16"]
"""How the matrices are stored."""

# Of the splittings that llama.cpp knows, one that never cuts a run of ASCII letters and never
# parts it from a space before it, all that merges of letters can tell: GPT-2's would cut "'s".
_SPLITTING: Final = "deepseek-coder"
_TURNED: Final = ("self_attn.q_proj", "self_attn.k_proj")


def to_gguf(files: ModelFiles, out: Path, precision: Precision = "f32") -> Path:
    """Write a model as a GGUF file.

    Args:
        files: The model.
        out: Where the file `NAME.gguf` is made; it appears when it is whole.
        precision: Of the matrices. They hold float16 numbers either way, but llama.cpp rounds the
            other factor of a product to float16 too if the matrix is stored so.

    Returns:
        The file.

    Raises:
        ConfigError: If the extra `export` is not installed, or the model's files do not fit
            together.
    """
    try:
        from gguf import GGUFWriter  # the extra
    except ImportError as error:
        raise ConfigError(
            "writing GGUF needs an extra: pip install 'tts-orchestrator[export]'"
        ) from error
    config = load_config(files.config)
    tensors = load_tensors(files.tensors, config)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{files.name}.gguf"
    partial = out / f"{files.name}.gguf.partial"
    writer = GGUFWriter(str(partial), "llama")
    _add_sizes(writer, files.name, config)
    _add_vocabulary(writer, files, config)
    _add_tensors(writer, config, tensors, np.dtype(np.float16 if precision == "f16" else "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(partial, target)
    return target


def _add_sizes(writer: GGUFWriter, name: str, config: LlamaConfig) -> None:
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_vocabulary(writer: GGUFWriter, files: ModelFiles, config: LlamaConfig) -> None:
    from gguf import TokenType  # the extra

    described = json.loads(files.tokenizer.read_bytes())
    controls = {each["id"] for each in described["added_tokens"]}
    spellings = {identity: text for text, identity in described["model"]["vocab"].items()}
    spellings |= {each["id"]: each["content"] for each in described["added_tokens"]}
    ids = range(config.vocab_size)
    writer.add_tokenizer_model("gpt2")  # byte-level BPE
    writer.add_tokenizer_pre(_SPLITTING)
    writer.add_token_list([spellings.get(each, f"[unused {each}]") for each in ids])
    writer.add_token_types([_kind(each, controls, spellings, TokenType) for each in ids])
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    ends = json.loads(files.config.read_bytes())
    writer.add_eos_token_id(ends["eos_token_id"])
    writer.add_pad_token_id(ends["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(SPACED)


def _kind(identity: int, controls: set[int], spellings: dict[int, str], kinds: Any) -> int:
    if identity in controls:
        return int(kinds.CONTROL)
    return int(kinds.NORMAL if identity in spellings else kinds.UNUSED)


def _add_tensors(
    writer: GGUFWriter, config: LlamaConfig, tensors: Tensors, dtype: np.dtype[np.floating]
) -> None:
    from gguf import MODEL_ARCH, LlamaFileType, get_tensor_name_map  # the extra

    whole = dtype == np.float32
    writer.add_file_type(LlamaFileType.ALL_F32 if whole else LlamaFileType.MOSTLY_F16)
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name in config.shapes():
        tensor = tensors[name]
        if any(turned in name for turned in _TURNED):
            tensor = _interleaved(tensor, config.head_size)
        # llama.cpp multiplies by vectors, the norms, in float32 only.
        kept = dtype if tensor.ndim > 1 else np.dtype(np.float32)
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight",)),
            np.ascontiguousarray(tensor.astype(kept)),
        )


def _interleaved(weight: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Lay the halves of each head that RoPE turns together side by side, as llama.cpp wants."""
    heads = weight.reshape(-1, 2, size // 2, weight.shape[1])
    return heads.swapaxes(1, 2).reshape(weight.shape)
