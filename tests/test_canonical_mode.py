"""The dispatch mode: what it routes, what stays stock, what it refuses, and that it is there in a backward pass and in its own thread only."""

import shutil
import threading

import numpy as np
import pytest
import torch

from swarm.errors import SwarmError
from swarm.proof.canonical import mode, ops, routes
from swarm.proof.canonical.mode import canonical
from swarm.proof.canonical.ops import Unsupported
from swarm.proof.canonical.routes import exact, route

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")
X = torch.tensor([[1.5, -0.0, float("nan")], [float("inf"), 1e-40, -2.0]])


class Planted(torch.autograd.Function):
    """The identity, whose backward uses an operator that has no canonical form."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return torch.sinh(gradient)


def refused(work, *words: str) -> None:
    with canonical(), pytest.raises(Unsupported) as told:
        work()
    assert all(word in str(told.value) for word in words), str(told.value)
    assert told.value.hint


@pytest.mark.parametrize(
    ("work", "word"),
    [
        (lambda: torch.sinh(X), "aten.sinh.default"),
        (lambda: X.half(), "torch.float16"),
        (lambda: X.double(), "torch.float64"),
        (lambda: X.long(), "2^31"),
        (lambda: torch.rand(3), "aten.rand"),
        (lambda: torch.nn.functional.dropout(X, 0.5), "aten"),
        (lambda: torch.empty(3).normal_(), "aten.normal_"),
        (lambda: torch.arange(0, 1, 0.1), "aten.arange"),
        (lambda: X.sort(), "aten.sort"),
        (lambda: X.sort(stable=False), "stable"),
        (lambda: torch.zeros(3).index_put_((torch.tensor([1, 1]),), torch.ones(2)), "twice"),
        (lambda: torch.zeros(3, 3).index_put_((torch.tensor([1, -2]), torch.tensor([0, 0])), torch.ones(2)), "twice"),
        (lambda: torch.zeros(3, 3).index_put_((torch.tensor([[0], [1]]), torch.tensor([[2, 2]])), torch.ones(2, 2)), "twice"),
        (lambda: torch.zeros(3).scatter_(0, torch.tensor([2, 2]), torch.ones(2)), "twice"),
        (lambda: torch.fft.rfft(torch.ones(8)), "aten._fft"),
    ],
)
def test_what_has_no_canonical_form_is_refused_by_name(work, word):
    refused(work, word)


def test_an_operator_in_a_backward_pass_is_seen():
    x = torch.ones(3, requires_grad=True)
    y = Planted.apply(x)
    refused(lambda: y.backward(torch.ones(3)), "aten.sinh.default")


def of_two_uses(x):
    torch.stack([x, x]).backward(torch.ones(2, 3))


def of_two_passes(x):
    for _ in range(2):
        x.view(3).backward(torch.ones(3))


@pytest.mark.parametrize("engine", [of_two_uses, of_two_passes])
def test_sums_of_gradients_by_the_engine_are_seen(engine, monkeypatch):
    for func in [func for func in mode.ways() if "aten.add" in str(func)]:
        with canonical():
            monkeypatch.delitem(mode._served, id(func))
    refused(lambda: engine(torch.ones(3, requires_grad=True)), "aten.add")


def test_moves_and_comparisons_keep_every_word():
    words = np.array([0x7FC00001, 0x7F800001, 0x80000000, 0x00000001, 0xFF800000, 0x3F800000], np.uint32)
    x = torch.from_numpy(words.view(np.float32).copy())
    with canonical():
        made = [x.clone(), x.flip(0).flip(0), torch.cat([x[:2], x[2:]]), torch.where(x == x, x, x), x[torch.arange(6)]]
        made += [torch.stack([x])[0], x.roll(3).roll(3)]
        (x < 1), x.isnan(), x.any(), x[5].item(), torch.full((3,), 0.1), torch.zeros(2).masked_fill(torch.tensor([True, False]), 3.0)
        assert torch.arange(5).cumsum(0).tolist() == [0, 1, 3, 6, 10]
        assert (torch.arange(5) * 3 % 4).float().tolist() == [0, 3, 2, 1, 0]
        assert torch.tensor([2.5, -1.9]).long().tolist() == [2, -1]
    for each in made:
        assert each.numpy().view(np.uint32).tolist() == words.tolist()


def test_a_recorder_hears_of_operators_that_stay_stock():
    heard = []

    class Heard:
        def moved(self, func, args, kwargs, out):
            heard.append((str(func), out.tolist()))

    with canonical(), ops.recording(Heard()):
        torch.ones(4)[1:3].clone()
    assert [name for name, _ in heard] == ["aten.ones.default", "aten.slice.Tensor", "aten.clone.default"] and heard[-1][1] == [1.0, 1.0]


def test_lists_do_not_overlap():
    """What is routed is not also stock, so nothing falls back."""
    assert not exact.EXACT & routes.routes().keys() and not exact.GUARDS.keys() & routes.routes().keys()
    with pytest.raises(ValueError, match="two routes"):
        route("once")(route("once")(lambda x: x))
    del routes.ROUTES["once"]


def test_the_mode_is_of_one_thread_and_stands_once():
    found = []
    with canonical(), canonical():
        other = threading.Thread(target=lambda: found.append(torch.sinh(torch.ones(1))))
        other.start()
        other.join()
        refused(lambda: torch.sinh(X), "aten.sinh")
    assert found and torch.sinh(torch.zeros(1)).item() == 0


def test_a_backward_in_another_thread_takes_the_mode_along():
    told = []

    def work():
        try:
            with canonical():
                Planted.apply(torch.ones(3, requires_grad=True)).backward(torch.ones(3))
        except Unsupported as error:
            told.append(error.name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == ["aten.sinh.default"]


def test_another_arithmetic_of_the_process_is_refused():
    cases = [
        (lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32), "float64"),
        (lambda: torch.set_flush_denormal(True), lambda: torch.set_flush_denormal(False), "subnormal"),
    ]
    for change, back, word in cases:
        change()
        try:
            with pytest.raises(SwarmError, match=word), canonical():
                pass
        finally:
            back()
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(Unsupported, match="autocast"), canonical():
        pass
    with canonical():
        assert X.clone().shape == X.shape
