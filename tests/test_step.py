"""One optimizer step: TRL's figures against a computation by hand, and the same bits again anywhere."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from learning import EOS, PAD, lora, some_groups, tiny_model, weights

from swarm.errors import InputError
from swarm.learn.step import TrainGroup, learning_rate, microbatch_rows, step, trainable
from swarm.sections import Learn

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rules(**changes) -> Learn:
    return Learn.model_validate({"group_size": 4, "lr": 1e-3, "microbatch": 8, "max_grad_norm": 1e6} | changes)


def take(model, groups, learn, state=None, seed=3, steps_done=0, **more):
    return step(model, state, groups, learn, seed=seed, pad=PAD, eos={EOS}, steps_done=steps_done, **more)


def token_logprobs(model, prompt, completion, temperature=1.0):
    """Log-probabilities of one completion, without batch, padding or TRL."""
    ids = torch.tensor([prompt + completion])
    logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float() / temperature
    return logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]


def hand_loss(model, groups, learn, old=None, temperature=1.0):
    """The loss of the paper, written out per rollout: clipped ratio times advantage, summed as `learn.loss` says."""
    rows, lengths = [], []
    for g, group in enumerate(groups):
        rewards = torch.tensor(group.rewards)
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for i, completion in enumerate(group.completions):
            now = token_logprobs(model, group.prompt, completion, temperature)
            then = now.detach() if old is None else torch.tensor(old[g][i])
            ratio = (now - then).exp()
            clipped = ratio.clamp(1 - learn.epsilon, 1 + learn.epsilon_high)
            rows.append(-torch.minimum(ratio * advantages[i], clipped * advantages[i]))
            lengths.append(len(completion))
    if learn.loss == "dapo":
        return torch.cat(rows).sum() / sum(lengths)
    if learn.loss == "grpo":
        return torch.stack([row.mean() for row in rows]).mean()
    return torch.stack([row.sum() for row in rows]).mean() / 256  # dr_grpo


def gradient_by_hand(groups, learn, **more):
    model = tiny_model()
    loss = hand_loss(model, groups, learn, **more)
    loss.backward()
    return float(loss.detach()), {name: tensor.grad for name, tensor in trainable(model).items()}


def first_moment(result, name):
    """After one step from a fresh state, exp_avg is (1 - beta1) times the gradient."""
    return result.optimizer_state[f"exp_avg/{name}"] / 0.1


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("microbatch", [2, 8, 64])
def test_loss_and_gradient_equal_a_hand_computation(loss, microbatch):
    """5 groups of 4 in microbatches of 2, 8 (the last one smaller) and all at once: every group counts exactly once."""
    groups, learn = some_groups(5), rules(loss=loss, microbatch=microbatch)
    expected, gradient = gradient_by_hand(groups, learn)
    result = take(tiny_model(), groups, learn)
    assert result.loss == pytest.approx(expected, abs=1e-6)
    for name, tensor in gradient.items():
        torch.testing.assert_close(first_moment(result, name), tensor, rtol=2e-4, atol=1e-7)


def test_advantages_equal_a_hand_computation_and_rewards_are_used_as_given():
    rewards = [0.25, 1.0, 0.0, 0.5]
    group = dataclasses.replace(some_groups(1)[0], rewards=rewards)
    result = take(tiny_model(), [group], rules())
    mean = sum(rewards) / 4
    deviation = (sum((r - mean) ** 2 for r in rewards) / 3) ** 0.5
    assert result.advantages[0] == pytest.approx([(r - mean) / (deviation + 1e-4) for r in rewards], rel=1e-5)
    assert result.reward == pytest.approx(mean)
    assert result.advantage == pytest.approx(sum(abs(a) for a in result.advantages[0]) / 4)
    assert result.tokens == sum(map(len, group.completions))


def test_temperature_enters_the_log_probabilities():
    groups, learn = some_groups(2), rules()
    _, gradient = gradient_by_hand(groups, learn, temperature=0.7)
    result = take(tiny_model(), groups, learn, temperature=0.7)
    for name, tensor in gradient.items():
        torch.testing.assert_close(first_moment(result, name), tensor, rtol=2e-4, atol=1e-7)


def test_author_logprobs_weigh_foreign_rollouts_only():
    """offpolicy = "ratio": authors' log-probabilities give ratio and clipping; None keeps ratio 1."""
    own, foreign = some_groups(2, seed=5)
    model = tiny_model()
    shift = random.Random(0)
    now = [[token_logprobs(model, g.prompt, c).tolist() for c in g.completions] for g in (own, foreign)]
    author = [[lp + shift.uniform(-0.6, 0.6) for lp in row] for row in now[1]]
    foreign = dataclasses.replace(foreign, logprobs=author, foreign=True)
    learn = rules(offpolicy="ratio")
    expected, gradient = gradient_by_hand([own, foreign], learn, old=[now[0], author])
    result = take(tiny_model(), [own, foreign], learn)
    assert result.loss == pytest.approx(expected, abs=1e-5)
    assert result.clipped > 0.05
    for name, tensor in gradient.items():
        torch.testing.assert_close(first_moment(result, name), tensor, rtol=1e-3, atol=1e-6)


def test_author_logprobs_are_ignored_unless_the_recipe_says_ratio():
    groups = some_groups(2)
    claimed = [dataclasses.replace(g, logprobs=[[-3.0] * len(ids) for ids in g.completions]) for g in groups]
    take(one := tiny_model(), groups, rules())
    take(two := tiny_model(), claimed, rules())
    assert weights(one) == weights(two)


def test_tokens_the_policy_did_not_choose_are_context():
    """Marked tokens (a critique's cue) get no gradient of their own; the loss divides by the sampled ones."""
    group = some_groups(1)[0]
    marks = [[True] * len(ids) for ids in group.completions]
    marks[0][0] = marks[1][-1] = False
    advantages = torch.tensor(take(tiny_model(), [group], rules()).advantages[0])
    model = tiny_model()
    rows = zip(group.completions, marks, advantages, strict=True)
    terms = [token_logprobs(model, group.prompt, ids)[torch.tensor(row)] * advantage for ids, row, advantage in rows]
    (-torch.cat(terms).sum() / sum(map(sum, marks))).backward()  # at ratio 1 the gradient is that of the log-probabilities
    result = take(tiny_model(), [dataclasses.replace(group, sampled=marks)], rules())
    assert result.tokens == sum(map(sum, marks))
    for name, tensor in trainable(model).items():
        torch.testing.assert_close(first_moment(result, name), tensor.grad, rtol=2e-4, atol=1e-7)


def test_a_dropped_completion_takes_no_part():
    """Reward None: out of its group's mean and deviation, advantage 0, and its text moves nothing."""
    group = some_groups(1)[0]
    rewards = [1.0, 0.0, None, 0.5]
    poisoned = dataclasses.replace(group, rewards=rewards, completions=[*group.completions[:2], [7] * 300, group.completions[3]])
    clean = dataclasses.replace(poisoned, completions=[*group.completions[:2], [9], group.completions[3]])
    first, second = take(one := tiny_model(), [poisoned], rules()), take(two := tiny_model(), [clean], rules())
    assert first.advantages[0][2] == 0.0
    assert first.advantages[0][0] == pytest.approx(0.5 / (0.5 + 1e-4), rel=1e-5)
    assert weights(one) == weights(two) and first.tokens == second.tokens


def test_adamw_state_goes_on_as_in_stock_torch():
    """Three steps with the state handed from one to the next equal three steps of one AdamW on hand-made gradients."""
    learn = rules(weight_decay=0.1, max_grad_norm=0.5, warmup=2)
    batches = [some_groups(3, seed=s) for s in range(3)]
    model, state = tiny_model(), None
    for done, groups in enumerate(batches):
        state = take(model, groups, learn, state, steps_done=done).optimizer_state
    plain = tiny_model()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1.0, weight_decay=0.1)
    for done, groups in enumerate(batches):
        optimizer.param_groups[0]["lr"] = learning_rate(learn, done)
        optimizer.zero_grad()
        hand_loss(plain, groups, learn).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
    assert [learning_rate(learn, done) for done in range(3)] == [5e-4, 1e-3, 1e-3]
    for (name, ours), theirs in zip(trainable(model).items(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-5, msg=name)
        assert state[f"step/{name}"] == 3


CHILD = """
import sys, hashlib, torch
sys.path[:0] = {paths!r}
torch.set_num_threads(1)
from learning import *
from swarm.learn.step import step
from swarm.sections import Learn
for model in tiny_model(), lora(tiny_model()):
    state = None
    for done in range(3):
        learn = Learn(group_size=4, lr=1e-3, microbatch=8)
        state = step(model, state, some_groups(5, seed=done), learn, seed=done, pad=0, eos={{1}}, steps_done=done).optimizer_state
    digest = hashlib.sha256()
    for name, data in sorted(weights(model).items()): digest.update(name.encode() + data)
    for name, data in sorted(state.items()): digest.update(name.encode() + data.numpy().tobytes())
    print(digest.hexdigest())
from huggingface_hub.utils import _telemetry
assert _telemetry._TELEMETRY_THREAD is None and _telemetry._TELEMETRY_QUEUE.empty(), "a step told the hub about itself"
"""


@pytest.mark.timeout(300)
def test_same_state_batch_and_seed_give_the_same_bits_in_another_process():
    """Weights and AdamW state after three steps, in two processes of their own, for full weights and for adapters."""
    code = CHILD.format(paths=[str(HERE), str(HERE.parent)])
    online = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "CI")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    start = functools.partial(subprocess.Popen, [sys.executable, "-c", code], env=online, **pipes)
    with start() as one, start() as two:
        said = [child.communicate(timeout=240) for child in (one, two)]
    assert one.returncode == two.returncode == 0, said[0][1][-2000:] + said[1][1][-2000:]
    first, second = (out.splitlines() for out, _ in said)
    assert len(first) == 2, f"a step printed something: {first}"
    assert first == second


def test_another_accumulation_split_gives_other_bits():
    """So the microbatch belongs to the recipe (design.md section 6)."""
    one, two = tiny_model(), tiny_model()
    for done in range(3):
        take(one, some_groups(5, seed=done), rules(microbatch=8), None)
        take(two, some_groups(5, seed=done), rules(microbatch=4), None)
    assert weights(one) != weights(two)


def test_a_replay_from_stored_tensors_gives_the_same_bits():
    """Copy state before a step, take it twice in one process with other random numbers drawn in between."""
    model, groups = tiny_model(), some_groups(5, seed=1)
    state = take(model, some_groups(5), rules()).optimizer_state
    before = {name: tensor.detach().clone() for name, tensor in trainable(model).items()}
    kept = {name: tensor.clone() for name, tensor in state.items()}
    first = take(model, groups, rules(), state, steps_done=1)
    torch.rand(1000)
    again = tiny_model(seed=9)
    with torch.no_grad():
        for name, tensor in trainable(again).items():
            tensor.copy_(before[name])
    second = take(again, groups, rules(), kept, steps_done=1)
    assert weights(model) == weights(again)
    assert all(torch.equal(first.optimizer_state[name], second.optimizer_state[name]) for name in kept)


def test_a_step_leaves_no_trace():
    """No patched forward, no moved generator, the cache still on, eval mode, no gradients, frozen weights untouched."""
    model = lora(tiny_model())
    base = model.get_base_model()
    frozen = {name: tensor.clone() for name, tensor in model.named_parameters() if not tensor.requires_grad}
    torch.manual_seed(5)
    random.seed(5)
    config, expected = dict(vars(base.config)), (torch.random.get_rng_state(), random.getstate())
    take(model, some_groups(2), rules())
    assert "forward" not in vars(base) and vars(base.config) == config and base.config.use_cache
    assert torch.equal(torch.random.get_rng_state(), expected[0]) and random.getstate() == expected[1]
    assert not model.training and all(tensor.grad is None for tensor in model.parameters())
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in model.named_parameters() if name in frozen)


def test_no_groups_is_no_step():
    model = tiny_model()
    before = weights(model)
    result = take(model, [], rules())
    assert not result.applied and result.optimizer_state is None and weights(model) == before


def test_a_zero_gradient_step_breaks_nothing():
    """Equal rewards: gradient 0, loss 0; from a fresh state the weights stay, and later steps go on."""
    model = tiny_model()
    before = weights(model)
    flat = [dataclasses.replace(group, rewards=[1.0] * 4) for group in some_groups(2)]
    result = take(model, flat, rules())
    assert result.applied and result.grad_norm == 0 and result.loss == 0 and weights(model) == before
    result = take(model, some_groups(2), rules(), result.optimizer_state, steps_done=1)
    assert result.grad_norm > 0 and weights(model) != before


def test_a_gradient_that_is_not_finite_changes_nothing():
    """An author claims log-probabilities that make the ratio infinite where the clip does not hold it (advantage < 0)."""
    model, groups = tiny_model(), some_groups(2)
    state = take(model, groups, rules()).optimizer_state
    before, kept = weights(model), {name: tensor.clone() for name, tensor in state.items()}
    hostile = [dataclasses.replace(g, logprobs=[[-1e30] * len(ids) for ids in g.completions]) for g in groups]
    result = take(model, hostile, rules(offpolicy="ratio"), state, steps_done=1)
    assert not result.applied and weights(model) == before
    assert all(torch.equal(result.optimizer_state[name], kept[name]) for name in kept)


def test_kl_term_pulls_towards_the_start_model():
    learn = rules(beta=0.5)
    model, start = tiny_model(), tiny_model()
    with pytest.raises(InputError, match=r"learn\.beta"):
        take(model, some_groups(2), learn)
    first = take(model, some_groups(2), learn, reference=start)
    second = take(model, some_groups(2), learn, first.optimizer_state, steps_done=1, reference=start)
    assert first.kl == pytest.approx(0, abs=1e-6) and second.kl > 1e-4
    assert "forward" not in vars(start)


def test_kl_term_of_adapters_needs_no_second_model():
    model, learn = lora(tiny_model()), rules(beta=0.5)
    result = take(model, some_groups(2), learn)
    assert result.kl > 0 and set(model.peft_config) == {"default"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": [1.0, float("nan"), 0.0, 0.0]}, "finite"),
        ({"rewards": [1.0, 0.0, 0.0]}, "4"),
        ({"completions": [[5], [], [6], [7]]}, "empty"),
        ({"prompt": []}, "empty"),
        ({"sampled": [[True]] * 4, "completions": [[5, 1], [5], [6], [7]]}, "marks"),
        ({"logprobs": [[0.0], None, None, None], "completions": [[5, 1], [5], [6], [7]]}, "log-prob"),
    ],
)
def test_groups_that_cannot_be_trained_are_named(change, message):
    group = dataclasses.replace(some_groups(1)[0], **change)
    with pytest.raises(InputError, match=message):
        take(tiny_model(), [group], rules())


def test_another_models_optimizer_state_is_refused():
    state = take(tiny_model(), some_groups(1), rules()).optimizer_state
    with pytest.raises(InputError, match="another model|exp_avg"):
        take(tiny_model(layers=3), some_groups(1), rules(), state)


def test_microbatches_hold_whole_groups_or_equal_parts_of_one():
    sizes = {(8, 64): 64, (8, 20): 16, (8, 7): 4, (8, 1): 1, (6, 5): 3}
    assert {key: microbatch_rows(rules(group_size=key[0], microbatch=key[1])) for key in sizes} == sizes


def test_group_of_one_prompt_and_ids_survive_a_pad_id_inside_a_completion():
    """A completion may hold the padding id as an ordinary token; masks go by length, not by id."""
    group = TrainGroup([5, 6], [[PAD, 7, EOS], [8], [9, PAD], [4]], [1.0, 0.0, 0.0, 0.0])
    expected, _ = gradient_by_hand([group], rules())
    assert take(tiny_model(), [group], rules()).loss == pytest.approx(expected, abs=1e-6)


def test_memory_does_not_grow_with_steps():
    """Fresh trainers must not pile up, not even until Python collects by itself: as many objects after 12 steps as after 4."""
    model, state, counts, libraries = tiny_model(), None, [], ("torch", "trl", "transformers", "accelerate", "swarm", "datasets")
    for done in range(12):
        state = take(model, some_groups(2, seed=done), rules(), state, steps_done=done).optimizer_state
        if done in (3, 11):
            counts.append(sum(str(type(item).__module__).split(".")[0] in libraries for item in gc.get_objects()))
    assert counts[1] <= counts[0]
    assert gc.get_freeze_count() == 0


def test_a_step_makes_rewarded_tokens_likelier():
    """A bandit: one token is rewarded, completions are sampled from the policy; its probability rises past one half."""
    model, state = tiny_model(), None
    prompt, wanted = [5, 6, 7], 11
    torch.manual_seed(0)
    for done in range(25):
        with torch.no_grad():
            odds = model(input_ids=torch.tensor([prompt])).logits[0, -1].softmax(-1)
        tokens = torch.multinomial(odds, 64, replacement=True).view(8, 8).tolist()
        groups = [TrainGroup(prompt, [[t] for t in row], [float(t == wanted) for t in row]) for row in tokens if wanted in row]
        state = take(model, groups, rules(group_size=8, lr=1e-2, max_grad_norm=1.0), state, steps_done=done).optimizer_state
    assert float(odds[wanted]) > 0.5
