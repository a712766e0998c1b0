"""Shapes and types that PyTorch refuses are refused in the dispatch mode too: a kernel would read or write beyond a tensor's end."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import ones, tensor, zeros
from torch.nn import functional

from swarm.proof.canonical.check import operators
from swarm.proof.canonical.mode import canonical

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")
aten = torch.ops.aten
CLASSES = tensor([0, 1])
MISFITS: dict[str, Callable[[], object]] = {
    "layer_norm, short weight": lambda: functional.layer_norm(ones(2, 8), (8,), ones(4)),
    "layer_norm, short bias": lambda: functional.layer_norm(ones(2, 8), (8,), None, ones(4)),
    "layer_norm, other axes": lambda: torch.native_layer_norm(ones(2, 8), (4,), None, None, 1e-5),
    "layer_norm, no axes": lambda: torch.native_layer_norm(ones(2, 8), (), None, None, 1e-5),
    "layer_norm_backward, short gradient": lambda: aten.native_layer_norm_backward(
        ones(1, 8), ones(2, 8), [8], ones(2, 1), ones(2, 1), None, None, [True] * 3
    ),
    "nll_loss, short weight": lambda: functional.nll_loss(ones(2, 5), CLASSES, weight=ones(2)),
    "nll_loss, int32": lambda: functional.nll_loss(ones(2, 5), CLASSES.int()),
    "nll_loss, two axes": lambda: functional.nll_loss(ones(2, 5), zeros(2, 0, dtype=torch.long)),
    "nll_loss, long target": lambda: aten.nll_loss_forward(ones(2, 5), zeros(4, dtype=torch.long), None, 1, -100),
    "nll_loss_backward, short gradient": lambda: aten.nll_loss_backward(ones(1), ones(2, 5), CLASSES, None, 0, -100, ones(())),
    "index_add, short source": lambda: torch.index_add(zeros(3, 4), 0, tensor([0, 1, 2, 0]), ones(2, 4)),
    "index_add, narrow source": lambda: torch.index_add(zeros(3, 4), 0, CLASSES, ones(2, 3)),
    "index_add, a number for several": lambda: torch.index_add(zeros(3), 0, CLASSES, tensor(1.0)),
    "index_add, several to a number": lambda: torch.index_add(tensor(0.0), 0, tensor([0, 0]), tensor(1.0)),
    "scatter_add, one axis": lambda: torch.scatter_add(zeros(3, 4), 0, CLASSES, ones(2)),
    "scatter_add, three axes": lambda: torch.scatter_add(zeros(3, 4), 0, CLASSES[None], ones(1, 2, 2)),
    "embedding_backward, short gradient": lambda: aten.embedding_dense_backward(ones(1, 4), CLASSES, 5, -1, False),
    "softmax_backward, short gradient": lambda: aten._softmax_backward_data(ones(2, 3), ones(4, 3), 1, torch.float32),
}


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
def test_what_torch_refuses_is_refused(misfit: Callable[[], object]):
    with pytest.raises((RuntimeError, IndexError)):
        misfit()
    with canonical(), pytest.raises((RuntimeError, IndexError)):
        misfit()


def test_gradients_of_another_shape_are_refused_where_torch_does_not_look():
    queries = [*ones(3, 1, 1, 3, 4), ones(1, 1, 3, 4), ones(1, 1, 3)]
    with pytest.raises(RuntimeError, match="attention_backward"):
        operators()["attention_backward"](ones(1, 1, 2, 4), *queries, None, False, 1.0)
    with pytest.raises(RuntimeError, match="log_softmax_backward"):
        operators()["log_softmax_backward"](ones(2, 3), ones(4, 3), 1)


def test_targets_may_be_bytes():
    scores = torch.arange(10.0).view(2, 5)
    with canonical():
        assert torch.equal(functional.nll_loss(scores, CLASSES.byte()), functional.nll_loss(scores, CLASSES))


def test_a_number_is_added_to_a_number():
    with canonical():
        assert torch.index_add(tensor(1.0), 0, tensor([0]), tensor(2.0)).item() == 3.0
