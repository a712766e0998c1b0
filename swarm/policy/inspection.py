"""A look at a stranger's model in a child process with limits, before this process loads it.

The child builds the model without memory (on torch's meta device), compares its tensors with those in the files, loads the tokenizer and
has it read a few texts that make bad regular expressions slow. What hangs, crashes or eats memory does so in the child, within
its limits, and the model is refused in one sentence. The child runs no code of the model: transformers' own classes only. What
has passed once is not looked at again while its files stay the same.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm.errors import Refused
from swarm.policy import weights

VERSION = "1"  # of this inspection: another one looks again
CPU_SECONDS, SECONDS = 60, 300.0  # processor time after the imports, and wall time
MEMORY = 4 * 2**30  # bytes of private memory
LAYERS = 1024
PROBES = ("47+38=85. ", "a", " ", "\n", "ab1 ", "é", "((((", "\U0001f600")
PROBE_LENGTH = 4096  # characters of each probe
PREFIX = "the model is refused: "
ROOT = Path(__file__).resolve().parent.parent.parent  # where the package `swarm` lies


def inspect(folder: Path, digest: str, passed: Path) -> None:
    """Look at the model in `folder`, whose weights have `digest`; remember in the folder `passed` what needs no second look.

    Raises Refused("model files") with the reason where the model is not what it says, or cannot be loaded within limits.
    """
    texts = b"".join(blake3((folder / name).read_bytes()).digest() for name in weights.TEXTS if (folder / name).is_file())
    seen = passed / blake3(f"{VERSION} {digest} ".encode() + texts).hexdigest()
    if seen.exists():
        return
    weights.shapes(folder)  # headers that lie are found here, where it costs nothing
    arguments = f"{str(folder.resolve())!r}, {CPU_SECONDS}"
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from swarm.policy.inspection import child; child({arguments})"
    environment = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-I", "-c", start]
    try:
        done = subprocess.run(command, capture_output=True, env={"PATH": os.defpath, **environment}, cwd="/", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _refused(f"loading it takes more than {SECONDS:.0f} seconds") from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["loading it takes too much time or memory"]
        raise _refused("".join(c for c in last[0][:300] if c.isprintable()))
    passed.mkdir(parents=True, exist_ok=True)
    seen.touch()


def child(folder: str, seconds: int) -> None:
    """Examine `folder` under limits; an exit code other than 0 and the last line on standard error say what is wrong."""
    import torch  # these two before the limits: they are ours
    import transformers  # noqa: F401

    torch.set_num_threads(1)
    allowed = int(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    try:
        examine(Path(folder))
    except Refused as refused:
        sys.exit(str(refused).removeprefix(PREFIX))


def examine(folder: Path) -> None:
    """Raises Refused where configuration, weights and tokenizer do not fit together; what transformers raises is left as it is."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    stored = weights.shapes(folder)
    largest = max((max(shape, default=1) for shape in stored.values()), default=1)
    _bound(weights.json_object((folder / "config.json").read_bytes(), "config.json"), max(largest, len(stored)))
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    _compare(model, stored)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    for probe in PROBES:
        ids = tokenizer.encode(probe * (PROBE_LENGTH // len(probe)), add_special_tokens=False)
        if max([*ids, *tokenizer.all_special_ids]) >= model.get_input_embeddings().num_embeddings:
            raise _refused("its tokenizer makes tokens that the model does not have")


def _bound(config: dict[str, Any], most: int) -> None:
    """Sizes in a configuration cannot exceed what the weights show; checked before anything is built from them."""
    if config.get("auto_map"):
        raise _refused("it brings code of its own (auto_map), which is never run")
    if config.get("quantization_config"):
        raise _refused("its weights are quantised; training wants plain ones")
    for key, value in config.items():
        if isinstance(value, dict):
            _bound(value, most)
        counts = key.startswith(("num_", "n_")) or key.endswith(("_size", "_dim", "_layers", "_heads", "_experts"))
        if type(value) is int and counts and key != "n_positions" and value > (LAYERS if key in ("num_hidden_layers", "n_layer") else most):
            raise _refused(f"config.json says {key} = {value}, which its weights do not bear out")


def _compare(model: Any, stored: dict[str, tuple[int, ...]]) -> None:
    """Every parameter of the model must be in the files, in its shape; a tied one may be there under its other name."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}  # tied weights come once
    prefix = model.base_model_prefix + "."
    for name, shape in wanted.items():
        other = name.removeprefix(prefix) if name.startswith(prefix) else prefix + name
        if shape not in (stored.get(name), stored.get(other)):
            raise _refused(f"its weights lack {name} of shape {list(shape)}")


def _refused(why: str) -> Refused:
    return Refused("model files", PREFIX + why, "choose a model with safetensors weights, tokenizer.json and no code of its own")
