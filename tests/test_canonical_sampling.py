"""Under canonical numerics what was decoded with a cache is derived bit for bit from one pass, whatever shares the batch."""

import pytest
import torch
from policy_models import random_model
from proofs import parts

from swarm import seeds as hashes
from swarm.author import Author, Draft
from swarm.groups import Group, Said
from swarm.policy import sampler
from swarm.policy.redraw import Ends, Told, redraw
from swarm.proof.canonical import canonical
from swarm.proof.derivation import Deriver

torch.set_num_threads(1)
EOS, PAD, LIMIT = {1}, 0, 12
PROMPTS = [[5, 6, 7], [9], [8, 3, 2, 11, 30, 4, 21, 7], [33, 12], [9, 9, 9, 9, 9]]
SEEDS = [[hashes.derive("test", n, g) for g in range(4)] for n in range(len(PROMPTS))]
KINDS = ["llama", "qwen2", "gpt2", "qwen3", "mistral"]
ME = hashes.author(b"\x01" * 20, b"\x02" * 32)


def written(model, **how) -> list[list[sampler.Sample]]:
    with canonical():
        return sampler.generate(model, PROMPTS, SEEDS, max_tokens=LIMIT, eos=EOS, pad=PAD, **how)


def flat(groups: list[list[sampler.Sample]]) -> list[sampler.Sample]:
    return [sample for group in groups for sample in group]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature, top_p", [(1.0, 1.0), (0.7, 0.8)])
def test_samples_and_log_probabilities_are_derived_to_the_bit(kind, temperature, top_p):
    model, how = random_model(kind), {"temperature": temperature, "top_p": top_p}
    samples = written(model, **how)
    told = [Told(PROMPTS[n], list(sample.ids), SEEDS[n][g]) for n, group in enumerate(samples) for g, sample in enumerate(group)]
    for rows in (1, 7, 64):
        with canonical():
            again = redraw(model, told, Ends(LIMIT, frozenset(EOS)), pad=PAD, rows=rows, **how)
        assert [one.sample for one in again] == flat(samples) and all(one.place is None for one in again)
    lengths = {len(sample.ids) for sample in flat(samples)}
    assert len(lengths) > 2, "rows must end at different places, or dropping ended rows is not tested"


@pytest.mark.parametrize("kind", KINDS)
def test_batches_threads_and_padding_change_no_bit(kind):
    model = random_model(kind)
    samples = written(model)
    assert written(model, rows=3) == samples
    torch.set_num_threads(2)
    try:
        assert written(model, rows=11) == samples
    finally:
        torch.set_num_threads(1)
    with canonical():
        alone = sampler.generate(model, [PROMPTS[2]], [[SEEDS[2][3]]], max_tokens=LIMIT, eos=EOS, pad=PAD)
    assert alone[0][0] == samples[2][3]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_with_a_cache_is_one_plain_forward_pass(kind):
    model = random_model(kind)
    samples = written(model)
    for n, g in [(0, 1), (1, 0), (2, 2), (4, 3)]:
        ids = samples[n][g].ids
        with torch.no_grad(), canonical():
            logits = model(torch.tensor([[*PROMPTS[n], *ids]]), use_cache=False).logits[0, len(PROMPTS[n]) - 1 : -1]
            scores = sampler.logprob(logits, torch.tensor(ids))
        assert tuple(scores.tolist()) == samples[n][g].logprobs


def test_adapters_change_nothing_of_this():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    model = get_peft_model(random_model(), LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"])).eval()
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.3)
    assert written(model) == written(model, rows=3) != written(random_model())


def test_weights_that_are_one_ulp_off_give_other_log_probabilities():
    model = random_model()
    samples = written(model)
    with torch.no_grad():
        model.lm_head.weight.copy_(torch.nextafter(model.lm_head.weight, torch.tensor(9.0)))
    assert written(model) != samples


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    found, _ = parts(tmp_path_factory.mktemp("canonical"), "proof.profile=canonical")
    found.epoch_seed = b"\x05" * 32
    return found


@pytest.mark.parametrize(
    "drafts",
    [
        [Group("answer", bytes(32), 4, index, (), seed=b"\x05" * 32) for index in range(3)],
        [Group("critique", b"\x09" * 32, 4, index, (), "7", seed=b"\x05" * 32) for index in range(2)],
        [Group("resolve", bytes(32), 4, index, (), "12", (Said(1, ""), Said(0, "no")), seed=b"\x05" * 32) for index in range(2)],
    ],
    ids=lambda drafts: drafts[0].stage,
)
def test_rollouts_of_the_base_model_are_derived_without_a_margin(stages, drafts):
    groups = Author(stages, ME).write([Draft(draft, stages.question(draft)) for draft in drafts], 4)
    every = [(n, g) for n, group in enumerate(groups) for g in range(len(group.rollouts))]
    for places in (every, every[3::5]):
        found = Deriver(stages, ME).derive(groups, 4, places)
        assert (found.difference, found.near, found.rollouts) == (None, 0, len(places))
