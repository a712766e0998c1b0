"""The sampler against transformers' own generate, against itself, and against the distribution it claims to draw from."""

import math

import pytest
import torch
from policy_models import CONFIGS, VOCABULARY, random_model

from swarm.errors import InputError
from swarm.policy import context, sampler
from swarm.seeds import derive

torch.set_num_threads(1)
EOS, PAD = {1}, 0
ENDS = [1, 9, 17, 25]
PROMPTS = [[5, 6, 7], [9], [8, 3, 2, 11, 30, 4, 21, 7], [33, 12], [9, 9, 9, 9, 9]]
KINDS = sorted(CONFIGS)


def seeds(groups: int, size: int) -> list[list[bytes]]:
    return [[derive("test", n, g) for g in range(size)] for n in range(groups)]


def hf_greedy(model, prompt: list[int], count: int, eos=None) -> list[int]:
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count, eos_token_id=eos, pad_token_id=PAD)
    return out[0, len(prompt) :].tolist()


def hf_greedy_padded(model, prompts: list[list[int]], count: int) -> list[list[int]]:
    ids, mask = context.padded(prompts, PAD, torch.device("cpu"))
    out = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=count, eos_token_id=ENDS, pad_token_id=PAD)
    rows = out[:, ids.shape[1] :].tolist()
    return [row[: next((i for i, t in enumerate(row) if t in ENDS), count) + 1] for row in rows]


def with_adapters(model):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"])).eval()
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.3)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_is_generate_token_by_token(kind):
    model = random_model(kind)
    ours = sampler.greedy(model, PROMPTS, max_tokens=20, eos=set(), pad=PAD)
    assert ours == [hf_greedy(model, prompt, 20) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in ours}) >= 4, "a model that always says the same tests nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_ends_where_a_padded_batch_of_generate_ends(kind):
    model = random_model(kind, seed=3)
    prompts = [[2 + i % 30, 3 + i % 7] + [4 + i % 11] * (i % 5) for i in range(24)]
    ours = sampler.greedy(model, prompts, max_tokens=24, eos=set(ENDS), pad=PAD, rows=10)
    assert ours == hf_greedy_padded(model, prompts, 24)
    lengths = {len(ids) for ids in ours}
    assert len(lengths) > 2, "rows must end at different places, or dropping ended rows is not tested"


def test_greedy_with_adapters_is_generate():
    plain = random_model()
    before = sampler.greedy(plain, PROMPTS, max_tokens=12, eos=set(), pad=PAD)
    model = with_adapters(plain)
    ours = sampler.greedy(model, PROMPTS, max_tokens=12, eos=set(), pad=PAD)
    assert ours == [hf_greedy(model, prompt, 12) for prompt in PROMPTS]
    assert ours != before, "the adapters must count"


def test_eager_attention_takes_the_general_way():
    model = random_model(attention="eager")
    assert sampler.greedy(model, PROMPTS, max_tokens=12, eos=set(), pad=PAD) == [hf_greedy(model, p, 12) for p in PROMPTS]


@pytest.mark.parametrize("kind", KINDS)
def test_any_sample_can_be_drawn_again_alone(kind):
    model = random_model(kind)
    drawn = sampler.generate(model, PROMPTS, seeds(5, 6), max_tokens=16, eos=EOS, pad=PAD)
    for n, g in [(0, 0), (2, 5), (4, 3), (1, 1)]:
        alone = sampler.generate(model, [PROMPTS[n]], [[seeds(5, 6)[n][g]]], max_tokens=16, eos=EOS, pad=PAD)[0][0]
        assert alone.ids == drawn[n][g].ids
        assert alone.logprobs == pytest.approx(drawn[n][g].logprobs, abs=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 30])
def test_batching_changes_no_token(rows, monkeypatch):
    model = random_model()
    wanted = sampler.generate(model, PROMPTS, seeds(5, 6), max_tokens=16, eos=EOS, pad=PAD)
    monkeypatch.setattr(sampler, "NOISE", 3 * VOCABULARY)  # noise a few positions ahead, drawn again after rows are dropped
    monkeypatch.setattr(context, "PROMPT_TOKENS", 11)
    again = sampler.generate(model, PROMPTS, seeds(5, 6), max_tokens=16, eos=EOS, pad=PAD, rows=rows)
    assert [[s.ids for s in group] for group in again] == [[s.ids for s in group] for group in wanted]
    ended = [len(s.ids) for group in wanted for s in group if s.finished]
    assert len(set(ended)) > 3


@pytest.mark.parametrize("kind", KINDS)
def test_logprobs_are_those_of_a_plain_forward_pass(kind):
    model = random_model(kind)
    completions = [[4, 5, 6, 1], [7], [], [2, 3], [30, 31, 32, 33, 34, 35]]
    scored = sampler.logprobs(model, PROMPTS, completions, temperature=1.3, rows=3)
    for prompt, completion, line in zip(PROMPTS, completions, scored, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + completion])).logits[0].float() / 1.3
        wanted = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, torch.tensor(completion, dtype=torch.long)[:, None])[:, 0]
        assert line == pytest.approx(wanted.tolist(), abs=2e-5)


def test_sampled_logprobs_are_the_teacher_forced_ones():
    model = random_model()
    drawn = sampler.generate(model, PROMPTS, seeds(5, 4), max_tokens=12, eos=EOS, pad=PAD, temperature=0.8, top_p=0.9)
    scored = sampler.logprobs(model, [p for p in PROMPTS for _ in range(4)], [list(s.ids) for g in drawn for s in g], temperature=0.8)
    for line, sample in zip(scored, (s for g in drawn for s in g), strict=True):
        assert line == pytest.approx(sample.logprobs, abs=2e-5)


def chi_square(counts: torch.Tensor, probabilities: torch.Tensor) -> tuple[float, float]:
    """Statistic over cells of at least five expected draws, and the value it exceeds once in a thousand (Wilson and Hilferty 1931)."""
    expected = probabilities.double() * counts.sum()
    cells = expected >= 5
    seen = torch.cat([counts[cells].double(), counts[~cells].sum()[None].double()])
    wanted = torch.cat([expected[cells], expected[~cells].sum().clamp(min=1e-9)[None]])
    free = int(cells.sum()) - 1
    return float(((seen - wanted) ** 2 / wanted.clamp(min=0.5)).sum()), free * (1 - 2 / (9 * free) + 3.09 * math.sqrt(2 / (9 * free))) ** 3


@pytest.mark.parametrize("temperature, top_p", [(1.0, 1.0), (1.7, 1.0), (1.0, 0.7)])
def test_tokens_follow_the_distribution(temperature, top_p):
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    model = random_model()
    drawn = sampler.generate(model, [[5, 6, 7]], seeds(1, 6000), max_tokens=2, eos=set(), pad=PAD, temperature=temperature, top_p=top_p, rows=2000)
    with torch.no_grad():
        first = model(torch.tensor([[5, 6, 7]])).logits[:, -1]
        second = model(torch.tensor([[5, 6, 7, t] for t in range(VOCABULARY)])).logits[:, -1]
    for position, logits in enumerate((first, second)):
        warped = TemperatureLogitsWarper(temperature)(None, logits)
        warped = TopPLogitsWarper(top_p)(None, warped) if top_p < 1 else warped
        of = [s for s in drawn[0] if position == 0 or s.ids[0] == drawn[0][0].ids[0]]
        line = warped[0 if position == 0 else drawn[0][0].ids[0]].softmax(-1)
        counts = torch.bincount(torch.tensor([s.ids[position] for s in of]), minlength=VOCABULARY)
        assert counts[line == 0].sum() == 0
        statistic, limit = chi_square(counts, line)
        assert statistic < limit


def test_stop_tail_and_eos_end_a_sample_and_the_limit_does_not():
    model = random_model()
    free = sampler.generate(model, PROMPTS, seeds(5, 8), max_tokens=24, eos=EOS, pad=PAD)
    tail = list(free[0][0].ids[2:4])
    drawn = sampler.generate(model, PROMPTS, seeds(5, 8), max_tokens=24, eos=EOS, pad=PAD, stop=tail)
    for group, without in zip(drawn, free, strict=True):
        for sample, full in zip(group, without, strict=True):
            ids = list(full.ids)
            cut = next((i for i in range(2, len(ids) + 1) if ids[i - 2 : i] == tail), None)
            assert list(sample.ids) == ids[:cut]
            assert sample.finished == (cut is not None or ids[-1] == 1)
            assert len(sample.logprobs) == len(sample.ids) <= 24
    assert drawn[0][0].ids[-2:] == tuple(tail) and any(not s.finished for g in free for s in g)


def test_progress_rises_to_one():
    shares: list[float] = []
    sampler.generate(random_model(), PROMPTS, seeds(5, 4), max_tokens=6, eos=EOS, pad=PAD, rows=8, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0) and len(shares) > 6


def test_training_mode_comes_back_and_dropout_does_not_count():
    model = random_model("gpt2").train()
    once, again = (sampler.greedy(model, PROMPTS, max_tokens=8, eos=EOS, pad=PAD) for _ in range(2))
    assert once == again and model.training
    assert all(weight.grad is None for weight in model.parameters())


def test_equal_prompts_are_read_once(monkeypatch):
    read = []
    inside = context.Context.__init__

    def counting(self, model, prompts, pad):
        read.append(len(prompts))
        inside(self, model, prompts, pad)

    monkeypatch.setattr(context.Context, "__init__", counting)
    sampler.generate(random_model(), [[5, 6], [7, 8], [5, 6]], seeds(3, 8), max_tokens=2, eos=EOS, pad=PAD)
    assert read == [2]


def test_memory_bounds_a_batch(monkeypatch):
    model = random_model()
    assert context.kv_bytes(model) == 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, size, bytes
    monkeypatch.setattr(context, "KV_BYTES", 40 * context.kv_bytes(model))
    sizes = [len(batch.owners) for batch in context.batches(model, PROMPTS * 4, [4] * 20, 64)]
    assert sum(sizes) == 20 and max(sizes) > 1
    for batch in context.batches(model, PROMPTS * 4, [4] * 20, 64):
        assert len(batch.owners) * (max(map(len, batch.prompts)) + 4) <= 40


@pytest.mark.parametrize("prompts, count", [([[]], 4), ([[5] * 120], 20)])
def test_prompts_that_cannot_be_continued_are_named(prompts, count):
    with pytest.raises(InputError) as error:
        sampler.greedy(random_model(), prompts, max_tokens=count, eos=EOS, pad=PAD)
    assert error.value.hint
