"""Products of matrices: each element is one accumulator, k ascending, one fused multiply-add per term.

The last ADD of +0 turns -0 into +0, so that rows and columns of zeros that are only there to fill up change nothing.
"""

from __future__ import annotations

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View


@defined("matmul")
def matmul(m: Machine, a: View, b: View) -> View:
    """(..., M, K) with (..., K, N): leading axes broadcast."""
    rows, columns = a.grown(-2), b.transpose(-2, -1).grown(-3)  # (..., M, 1, K) and (..., 1, N, K)
    zero = m.constant(0.0)
    return m.map(Code.ADD, m.fold(Code.FMA, zero, rows, columns), zero)


@defined("addmm")
def addmm(m: Machine, bias: View, a: View, b: View, *, beta: float = 1.0, alpha: float = 1.0) -> View:
    """beta * bias + alpha * (a @ b). A factor of 1 is no operation; with beta = 0 the bias is not read, whatever is in it."""
    product, factor = matmul(m, a, b), m.constant(alpha)
    if beta == 0:
        return product if alpha == 1 else m.map(Code.MUL, factor, product)
    other = bias if beta == 1 else m.map(Code.MUL, m.constant(beta), bias)
    return m.map(Code.ADD, product, other) if alpha == 1 else m.map(Code.FMA, factor, product, other)
