"""Whole steps in the dispatch mode, of unchanged Llama, Qwen2 and GPT-2 models under TRL: nothing refused, the same root from every build,
thread count and way in, and next to what stock PyTorch gives. More builds: pytest -m slow tests/test_canonical_step.py
"""

import contextlib
import shutil

import pytest
import torch
from proofs import parts

from swarm.learn import sft, step
from swarm.policy import sampler
from swarm.policy.model import adapt
from swarm.proof import machine
from swarm.proof.canonical import mode, native, ops, whole
from swarm.proof.canonical.adamw import CanonicalAdamW
from swarm.proof.canonical.build import BUILDS, CONTRACTED
from swarm.proof.canonical.routes import routes
from swarm.sections import Learn, Lora

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")
FAMILIES = ("llama", "qwen2", "gpt2")


@pytest.fixture(scope="module")
def roots() -> dict[str, str]:
    return {name: whole.root(name) for name in FAMILIES}


@contextlib.contextmanager
def threads(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_a_whole_step_gives_the_committed_root(roots):
    assert roots["llama"] == whole.ROOT and len(set(roots.values())) == len(FAMILIES)


def test_threads_change_nothing(roots):
    with threads(2):
        assert whole.root() == roots["llama"]


@pytest.mark.skipif(not BUILDS["sse2"].loads, reason="this processor has no SSE2")
def test_a_build_of_four_floats_changes_nothing(roots):
    with native.using(BUILDS["sse2"]):
        assert whole.root() == roots["llama"]


@pytest.mark.slow
@pytest.mark.parametrize("build", [name for name, build in BUILDS.items() if build is not CONTRACTED])
def test_no_build_changes_anything(roots, build):
    if not BUILDS[build].runs:
        pytest.skip(f"{build} cannot be compiled or run here")
    for count in (1, 4):
        with native.using(BUILDS[build]), threads(count):
            assert {name: whole.root(name) for name in FAMILIES} == roots


def test_a_recorder_changes_nothing(roots):
    """What is recorded goes another way through the dispatcher."""
    heard = set()

    class Recorder:
        def before(self, name, tensors, attributes):
            heard.add(name)

        def after(self, name, tensors, attributes, outputs): ...

        def moved(self, func, args, kwargs, out):
            heard.add(str(func))

    with ops.recording(Recorder()):
        assert whole.root() == roots["llama"]
    assert {"matmul", "attention_backward", "adamw", "aten.view.default", "aten._to_copy.default"} <= heard


def test_routes_do_no_arithmetic_of_pytorchs(monkeypatch):
    """With the mode left on inside routes, no operator on floats arrives from there: a canonical operator is never made of stock ones."""
    depth, leaks = [0], set()
    mode._dispatcher()

    def watched(func, way):
        def run(*args, **kwargs):
            if any(isinstance(value, torch.Tensor) and value.is_meta for value in args):
                return func(*args, **kwargs)  # asked for its layout: there are no words
            if not mode._any_float([*args, *kwargs.values()]):
                return way(*args, **kwargs)
            if depth[0]:
                leaks.add(str(func))
            depth[0] += 1
            try:
                with mode._Again():
                    return way(*args, **kwargs)
            finally:
                depth[0] -= 1

        return run

    for func in [func for func in routes() if "index_put" not in str(func)]:  # that one moves by itself, where it does not add
        monkeypatch.setitem(mode._served, id(func), watched(func, mode._served[id(func)]))
    for name in FAMILIES:
        whole.root(name)
    assert not leaks


@pytest.mark.parametrize("name", FAMILIES)
def test_results_are_those_of_stock_pytorch_but_for_rounding(name):
    told = []
    for around in (contextlib.nullcontext, mode.canonical):
        model = whole.tiny(name)
        prompts, rows = [whole.PROMPTS[0]] * 4, [[5, 9, 11, 2], [6, 7], [50, 3, 21], [8, 8, 8, 8]]
        with around():
            logprobs = sampler.logprobs(model, prompts, rows)
            groups = [step.TrainGroup(prompts[0], rows, [0.0, 1.0, 0.5, 1.0])]
            done = step.step(model, None, groups, Learn(group_size=4, lr=1e-3), seed=1, pad=0, eos={0}, steps_done=0)
        told.append((sum(logprobs, []), done.grad_norm, done.entropy, dict(model.named_parameters())))
    stock, ours = told
    assert ours[0] == pytest.approx(stock[0], abs=1e-4) and ours[1:3] == pytest.approx(stock[1:3], rel=1e-3)
    moved = sum(float((ours[3][key] - stock[3][key]).detach().abs().sum()) for key in stock[3]) / sum(t.numel() for t in stock[3].values())
    assert moved < 2e-5  # a fiftieth of the learning rate: a first step of AdamW takes signs, of zeros too


ROWS = [[5, 9, 11, 2], [6, 7], [50, 3, 21], [8, 8, 8, 8]]
SETTINGS = [
    {"loss": "grpo", "scale_rewards": "batch"},
    {"loss": "bnpo", "scale_rewards": "none", "microbatch": 1},
    {"loss": "dr_grpo", "beta": 0.1},
    {"offpolicy": "ratio"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: " ".join(map(str, settings.values())))
@pytest.mark.parametrize("adapted", [False, True], ids=["full", "lora"])
def test_no_setting_of_a_recipe_is_refused(settings, adapted):
    model = adapt(whole.tiny(), Lora(rank=2), bytes(32)) if adapted else whole.tiny()
    learn = Learn(**{"group_size": 4, "microbatch": 4} | settings)
    logprobs = [[-4.0] * len(row) for row in ROWS] if learn.offpolicy == "ratio" else None
    groups = [step.TrainGroup([1, 2, 3], ROWS, [0.0, 1.0, 0.5, 0.25], logprobs=logprobs)] * 2
    more = dict(reference=whole.tiny() if learn.beta and not adapted else None, kind=CanonicalAdamW)
    with mode.canonical():
        assert step.step(model, None, groups, learn, seed=1, pad=0, eos={0}, steps_done=0, **more).applied


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_on_rows_are_not_refused(name):
    model, rows = whole.tiny(name), [sft.TrainRow([1, 2, 3], row) for row in ROWS]
    learn = Learn(method="sft", data="rows.jsonl", data_digest="0" * 64, microbatch=3)
    with mode.canonical():
        assert sft.step(model, None, rows, learn, seed=1, pad=0, eos={0}, steps_done=0, kind=CanonicalAdamW).applied


def test_without_autograd_composite_operators_arrive_whole():
    model = whole.tiny()
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    with mode.canonical():
        with torch.no_grad():
            plain = model(ids).logits
        with torch.inference_mode():
            whole_ones = model(ids).logits
    assert torch.equal(plain, whole_ones)


def test_the_class_is_that_of_all_machines_or_of_one(tmp_path):
    """Under `canonical` neither threads nor build is in it, and what it probes comes out the same."""
    found = {}
    for profile, build, count in (("canonical", "native", 1), ("canonical", "sse2", 2), ("pinned", "native", 1), ("pinned", "native", 2)):
        if not BUILDS[build].loads:
            pytest.skip(f"{build} cannot be compiled or run here")
        stages, trainee = parts(tmp_path / f"{profile}{count}", f"proof.profile={profile}")
        with native.using(BUILDS[build]), threads(count):
            facts = machine.facts(stages)
            found[profile, count] = machine.class_of(stages, trainee) if profile == "canonical" else str(facts)
        assert ("processor" in facts) is (profile == "pinned")
    assert found["canonical", 1] == found["canonical", 2] and found["pinned", 1] != found["pinned", 2]
