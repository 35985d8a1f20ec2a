"""What is written for other runtimes holds the model, whole; `make test-live` runs it there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, TokenType
from safetensors.numpy import load_file, save_file

from tests.backends.reference.models import copy_tokenizer, write_model
from tts import ConfigError
from tts.backends.reference import ReferenceBackend
from tts.backends.reference.bundled import ModelFiles, bundled, in_folder
from tts.backends.reference.export.__main__ import main
from tts.backends.reference.export.chat import PLAIN, SPACED
from tts.backends.reference.export.to_gguf import Precision, to_gguf
from tts.backends.reference.export.to_huggingface import to_huggingface


@pytest.fixture
def small(tmp_path: Path) -> ModelFiles:
    """A model whose key-value heads are fewer than its heads."""
    write_model(tmp_path / "model", keys=2)
    copy_tokenizer(tmp_path / "model")
    return in_folder(tmp_path / "model")


def fields(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in GGUFReader(path).fields.items()}


def tensors(path: Path) -> dict[str, Any]:
    return {each.name: each for each in GGUFReader(path).tensors}


def test_a_gguf_says_what_the_network_is(small: ModelFiles, tmp_path: Path) -> None:
    said = fields(to_gguf(small, tmp_path))
    assert said["general.architecture"] == "llama"
    assert said["llama.block_count"] == 2
    assert said["llama.attention.head_count"] == 4
    assert said["llama.attention.head_count_kv"] == 2
    assert said["llama.rope.dimension_count"] == said["llama.attention.key_length"] == 8
    assert said["llama.context_length"] == 1024
    assert said["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)


def test_a_gguf_holds_the_vocabulary(tmp_path: Path) -> None:
    said = fields(to_gguf(bundled(), tmp_path))
    described = json.loads(bundled().tokenizer.read_bytes())
    listed = said["tokenizer.ggml.tokens"]
    assert {token: identity for identity, token in enumerate(listed)} == described["model"]["vocab"]
    assert said["tokenizer.ggml.merges"] == [" ".join(p) for p in described["model"]["merges"]]
    controls = [i for i, k in enumerate(said["tokenizer.ggml.token_type"]) if k != TokenType.NORMAL]
    assert controls == [each["id"] for each in described["added_tokens"]]
    assert listed[said["tokenizer.ggml.eos_token_id"]] == "<|end|>"
    assert listed[said["tokenizer.ggml.padding_token_id"]] == "<|pad|>"
    assert said["tokenizer.chat_template"] == SPACED
    assert not said["tokenizer.ggml.add_bos_token"]


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_a_gguf_holds_every_weight(small: ModelFiles, tmp_path: Path, precision: Precision) -> None:
    held = tensors(to_gguf(small, tmp_path, precision))
    stored = load_file(small.tensors)
    assert len(held) == len(stored)
    for theirs, ours in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
        ("blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight"),
        ("blk.1.attn_output.weight", "model.layers.1.self_attn.o_proj.weight"),
        ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"),
        ("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
    ):
        assert np.array_equal(held[theirs].data, stored[ours]), theirs
    matrix = np.float16 if precision == "f16" else np.float32
    assert held["blk.1.attn_v.weight"].data.dtype == matrix
    assert held["output_norm.weight"].data.dtype == np.float32


def test_what_rope_turns_together_lies_side_by_side(small: ModelFiles, tmp_path: Path) -> None:
    held = tensors(to_gguf(small, tmp_path))
    for theirs, ours, heads in (("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)):
        stored = load_file(small.tensors)[f"model.layers.0.self_attn.{ours}.weight"]
        found = held[f"blk.0.{theirs}.weight"].data
        for head in range(heads):
            for channel in range(4):
                first, second = 8 * head + channel, 8 * head + channel + 4
                assert np.array_equal(found[8 * head + 2 * channel], stored[first])
                assert np.array_equal(found[8 * head + 2 * channel + 1], stored[second])


def test_ids_without_a_token_are_filled(small: ModelFiles, tmp_path: Path) -> None:
    described = json.loads(small.config.read_text())
    stored = load_file(small.tensors)
    wider = np.pad(stored["model.embed_tokens.weight"], ((0, 2), (0, 0)))
    save_file(stored | {"model.embed_tokens.weight": wider}, small.tensors)
    described["vocab_size"] += 2
    small.config.write_text(json.dumps(described))
    said = fields(to_gguf(small, tmp_path))
    assert said["tokenizer.ggml.tokens"][-1] == f"[unused {described['vocab_size'] - 1}]"
    assert said["tokenizer.ggml.token_type"][-2:] == [TokenType.UNUSED, TokenType.UNUSED]


def test_a_gguf_appears_when_it_is_whole(small: ModelFiles, tmp_path: Path) -> None:
    out = tmp_path / "out"
    to_gguf(small, out)
    to_gguf(small, out)
    assert [path.name for path in out.iterdir()] == ["reference.gguf"]


def test_without_the_extra_the_user_is_told_what_to_install(
    small: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ConfigError, match=r"pip install 'tts-orchestrator\[export\]'"):
        to_gguf(small, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_hugging_face_folder_is_the_model_and_its_chat(tmp_path: Path) -> None:
    folder = to_huggingface(bundled(), tmp_path)
    assert folder == tmp_path / "reference"
    files = bundled()
    for source in (files.config, files.tensors, files.tokenizer):
        assert (folder / source.name).read_bytes() == source.read_bytes()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert (config["eos_token"], config["pad_token"]) == ("<|end|>", "<|pad|>")
    assert config["chat_template"] == PLAIN
    assert config["model_max_length"] == 1024
    assert config["clean_up_tokenization_spaces"] is False
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 3


def test_our_backend_reads_the_folder_that_was_written(small: ModelFiles, tmp_path: Path) -> None:
    assert ReferenceBackend(folder=to_huggingface(small, tmp_path / "out")).name == "reference"


@pytest.mark.parametrize(("format_", "name"), [("gguf", ".gguf"), ("huggingface", "")])
def test_the_command_says_where_it_wrote(
    format_: str, name: str, small: ModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(small.config.parent)
    main(["--format", format_, "--out", str(tmp_path / "out"), "--folder", folder])
    assert capsys.readouterr().out == f"{tmp_path}/out/reference{name}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "gguf", "--model", "tiny"], "unknown model 'tiny'; known: main"),
        (["--format", "gguf", "--folder", "/nowhere"], "/nowhere/config.json: not a Llama"),
        (["--format", "huggingface", "--folder", "/nowhere"], "No such file"),
        (["--format", "onnx"], "invalid choice"),
        ([], "required: --format"),
    ],
)
def test_a_wrong_command_ends_with_one_line_and_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err
