"""The bound on what an averaging may change, and the replay of a recorded one."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from blake3 import blake3
from safetensors.torch import save

from swarm.errors import Refused
from swarm.learn.blend import blend, norm, replay
from swarm.learn.root import state_root
from swarm.records import AverageEvent


def own():
    torch.manual_seed(0)
    return {"a": torch.randn(40, 30), "b": torch.randn(30) * 0.01, "h": torch.randn(8).to(torch.bfloat16)}


def shifted(tensors, scale):
    torch.manual_seed(1)
    return {name: t.float() + torch.randn(t.shape) * scale * norm([t]) / math.sqrt(t.numel()) for name, t in tensors.items()}


def test_a_close_mean_is_taken_over():
    before = own()
    mean = shifted(before, 0.01)
    after = blend(before, mean, 0.05)
    for name in before:
        assert after[name].dtype == before[name].dtype
        torch.testing.assert_close(after[name].float(), mean[name], rtol=1e-2 if name == "h" else 1e-5, atol=1e-6)


def test_no_tensor_moves_further_than_its_bound():
    """The far tensors are cut to the bound, in the direction of the mean; a small tensor cannot take a large one's share."""
    before = own()
    mean = shifted(before, 1.0)
    after = blend(before, mean, 0.05)
    for name in ("a", "b"):
        step = after[name] - before[name]
        assert norm([step]) == pytest.approx(0.05 * norm([before[name]]), rel=1e-4)
        direction = mean[name] - before[name]
        assert torch.nn.functional.cosine_similarity(step.flatten(), direction.flatten(), dim=0) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda mean: mean["a"].__setitem__((3, 3), float("nan")), "not finite"),
        (lambda mean: mean["a"].__setitem__((3, 3), float("inf")), "not finite"),
        (lambda mean: mean["a"].mul_(1e20), "implausible"),
        (lambda mean: mean.update(a=torch.zeros(2)), "malformed"),
        (lambda mean: mean.pop("b"), "malformed"),
    ],
)
def test_a_spoiled_mean_is_refused_whole(spoil, reason):
    before = own()
    mean = shifted(before, 0.01)
    spoil(mean)
    with pytest.raises(Refused) as refusal:
        blend(before, mean, 0.05)
    assert refusal.value.reason == reason


def test_zero_tensors_stay_and_equal_ones_do_not_divide_by_zero():
    before = {"zero": torch.zeros(4), "same": torch.ones(4)}
    after = blend(before, {"zero": torch.full((4,), 0.1), "same": torch.ones(4)}, 0.05)
    assert torch.equal(after["zero"], before["zero"]) and torch.equal(after["same"], before["same"])


def recorded():
    before, moments, scalars = own(), {"step/a": torch.tensor(3.0)}, {"steps": 3}
    blob = save(shifted(before, 1.0))
    after = blend(before, shifted(before, 1.0), 0.05)

    def root(tensors):
        return state_root({f"model/{name}": t for name, t in tensors.items()} | moments, scalars)

    event = AverageEvent(round=5, before=root(before), averaged=blake3(blob).digest(), rule="norm_clip", max_change=0.05, after=root(after))
    return event, before, moments, scalars, blob


def test_a_recorded_averaging_can_be_computed_again():
    event, before, moments, scalars, blob = recorded()
    assert replay(event, before, moments, scalars, blob)


def test_a_false_record_is_found_out():
    event, before, moments, scalars, blob = recorded()
    other = own()
    other["a"][0, 0] += 1e-6
    assert not replay(event, other, moments, scalars, blob)
    assert not replay(event, before, moments, {"steps": 4}, blob)
    assert not replay(event, before, moments, scalars, blob[:-1] + b"\x00")
    for lie in ({"after": b"\x00" * 32}, {"before": b"\x00" * 32}, {"max_change": 0.06}, {"rule": "trimmed_mean"}, {"averaged": b"\x00" * 32}):
        assert not replay(dataclasses.replace(event, **lie), before, moments, scalars, blob)
    junk = b"no tensors"
    assert not replay(dataclasses.replace(event, averaged=blake3(junk).digest()), before, moments, scalars, junk)
