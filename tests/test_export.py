"""What is exported loads with `from_pretrained` and answers as the trained policy did."""

from __future__ import annotations

import contextlib
import shutil
from types import SimpleNamespace

import pytest
import torch
from learning import EOS, PAD, lora, some_groups, tiny_model
from safetensors.torch import load_file

from swarm.learn.export import export
from swarm.learn.step import step
from swarm.proof.canonical import canonical
from swarm.sections import Learn

CARD = "# amber-otter\n\nTrained in a swarm.\n"


def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(60)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w2")), pad_token="w0", eos_token="w1")


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.arange(2, 20)[None]).logits


@pytest.mark.parametrize("make", [tiny_model, lambda: lora(tiny_model())], ids=["full", "lora"])
def test_the_export_answers_as_the_trained_policy(tmp_path, make):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = make()
    before = logits(model)
    step(model, None, some_groups(2), Learn(group_size=4, lr=1e-2), seed=0, pad=PAD, eos={EOS}, steps_done=0)
    trained = logits(model)
    folder = export(SimpleNamespace(model=model, tokenizer=tokenizer()), tmp_path / "model", CARD)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    torch.testing.assert_close(logits(loaded), trained, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before, trained, atol=1e-3)
    assert torch.equal(logits(model), trained)  # the policy itself is as it was
    assert loaded.config.use_cache and AutoTokenizer.from_pretrained(folder).eos_token == "w1"
    assert (folder / "README.md").read_text() == CARD


def test_the_adapter_lies_beside_the_merged_model(tmp_path):
    from peft import PeftModel

    model = lora(tiny_model())
    folder = export(SimpleNamespace(model=model, tokenizer=tokenizer()), tmp_path / "model", CARD)
    adapted = PeftModel.from_pretrained(tiny_model(), folder / "adapter").eval()
    torch.testing.assert_close(logits(adapted), logits(model))


@pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")
def test_adapters_are_merged_in_canonical_numerics(tmp_path):
    """What is delivered for a job is compared bit for bit on other machines."""
    model, found = lora(tiny_model()), []
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora_B" in name:
                tensor.copy_(torch.linspace(-1, 1, tensor.numel()).view_as(tensor))
    for around in (contextlib.nullcontext(), canonical()):
        with around:
            folder = export(SimpleNamespace(model=model, tokenizer=tokenizer()), tmp_path / f"model{len(found)}", CARD)
        found.append(load_file(folder / "model.safetensors"))
    torch.testing.assert_close(found[0], found[1])


def test_an_export_replaces_the_one_before_and_a_failed_one_does_not(tmp_path):
    policy = SimpleNamespace(model=tiny_model(), tokenizer=tokenizer())
    folder = export(policy, tmp_path / "model", "old")
    assert export(policy, folder, "new") == folder and (folder / "README.md").read_text() == "new"
    broken = SimpleNamespace(model=policy.model, tokenizer=SimpleNamespace(save_pretrained=lambda path: (_ for _ in ()).throw(OSError(28, "full"))))
    with pytest.raises(OSError, match="full"):
        export(broken, folder, "never")
    assert (folder / "README.md").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["model"]
