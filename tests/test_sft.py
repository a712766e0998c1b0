"""One step on rows: TRL's loss and AdamW, equal to a few lines of PyTorch, equal bits each time, and nothing left behind."""

import random

import pytest
import torch
from learning import EOS, PAD, VOCABULARY, lora, tiny_model, weights

from swarm.errors import InputError
from swarm.learn.sft import TrainRow, step
from swarm.sections import Learn


def rules(**changes):
    return Learn(**{"method": "sft", "data": "rows.jsonl", "data_digest": "0" * 64, "lr": 1e-2, "microbatch": 4, **changes})


def some_rows(count=6, seed=0):
    draw = random.Random(seed)
    ids = lambda least, most: [draw.randrange(2, VOCABULARY) for _ in range(draw.randint(least, most))]  # noqa: E731
    return [TrainRow(ids(2, 9), [*ids(1, 6), EOS]) for _ in range(count)]


def take(model, rows, state=None, steps_done=0, **changes):
    return step(model, state, rows, rules(**changes), seed=1, pad=PAD, eos={EOS}, steps_done=steps_done)


def by_hand(model, rows, lr=1e-2):
    """The mean over all completion tokens, one row after the other; clipped; AdamW. Returns loss and gradient norm."""
    total, count = 0.0, sum(len(row.completion) for row in rows)
    for row in rows:
        logits = model(input_ids=torch.tensor([row.prompt + row.completion])).logits[0, len(row.prompt) - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(row.completion), reduction="sum") / count
        loss.backward()
        total += float(loss)
    tensors = [tensor for tensor in model.parameters() if tensor.requires_grad]
    norm = torch.nn.utils.clip_grad_norm_(tensors, 1.0)
    torch.optim.AdamW(tensors, lr=lr, betas=(0.9, 0.999), weight_decay=0.0).step()
    return total, float(norm)


@pytest.mark.parametrize("microbatch", [1, 4, 64])
def test_a_step_is_what_a_few_lines_of_pytorch_do_whatever_the_microbatch(microbatch):
    rows, model, other = some_rows(), tiny_model(), tiny_model()
    result = take(model, rows, microbatch=microbatch)
    loss, norm = by_hand(other, rows)
    assert result.applied and result.tokens == sum(len(row.prompt) + len(row.completion) for row in rows)
    assert result.loss == pytest.approx(loss, rel=1e-5) and result.grad_norm == pytest.approx(norm, rel=1e-4)
    for (name, mine), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        firm = theirs.grad.abs() > 1e-6  # where a gradient is nearly 0, Adam's first step magnifies its rounding
        assert torch.allclose(mine[firm], theirs[firm], atol=2e-5) and torch.allclose(mine, theirs, atol=2e-2), name


def test_the_same_step_gives_the_same_bits_and_goes_on_from_its_state():
    models = [tiny_model(), tiny_model()]
    for model in models:
        first = take(model, some_rows())
        second = take(model, some_rows(seed=1), first.optimizer_state, steps_done=1)
        assert second.optimizer_state is not None and float(second.optimizer_state["step/model.norm.weight"]) == 2
    assert weights(models[0]) == weights(models[1])
    assert take(tiny_model(), some_rows()).gradient == first.gradient != second.gradient


def test_adapters_alone_are_trained_and_nothing_is_left_behind():
    model = lora(tiny_model())
    base, before, state = model.get_base_model(), {name: t.clone() for name, t in model.named_parameters()}, random.getstate()
    take(model, some_rows())
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed and all("lora_" in name for name in changed)
    assert "forward" not in vars(base) and base.config.use_cache and not model.training and random.getstate() == state


def test_rows_that_cannot_be_learned_are_refused():
    with pytest.raises(InputError, match="without a prompt or a completion"):
        take(tiny_model(), [TrainRow([3], [])])
