"""Amounts, prices and votes are whole numbers: nothing that every peer must compute alike can make a float."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import judge

JUDGE = Path(judge.__file__).parent
FREE = ("trader", "scores", "store", "delegate")  # a node's own bids, exact fractions, files, and a program's patience


def floats(source: str, divisions: bool) -> list[str]:
    """What in `source` makes a float: a literal, `float`, a function of `math` that is not whole, and `/` (unless of Decimals)."""
    whole = {"isqrt", "gcd", "lcm", "comb", "perm", "factorial", "prod"}
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float() | complex()):
                found.append(f"line {node.lineno}: {node.value}")
            case ast.Name(id="float") if not isinstance(node.ctx, ast.Store):
                found.append(f"line {node.lineno}: float")
            case ast.Attribute(value=ast.Name(id="math"), attr=name) if name not in whole:
                found.append(f"line {node.lineno}: math.{name}")
            case ast.ImportFrom(module="math" | "cmath" | "statistics" | "random", names=names):
                found += [f"line {node.lineno}: {name.name}" for name in names if name.name not in whole]
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()) if not divisions:
                found.append(f"line {node.lineno}: /")
    return found


@pytest.mark.parametrize("path", [path for path in sorted(JUDGE.glob("*.py")) if path.stem not in FREE], ids=lambda path: path.stem)
def test_no_float_where_every_peer_computes(path):
    assert floats(path.read_text(), divisions=path.stem == "lmsr") == []


@pytest.mark.parametrize(
    "source", ["x = 0.5", "x = 1e18", "x = float(y)", "x = math.log(y)", "from math import exp", "x = y / z", "x /= y", "map(float, y)", "1j"]
)
def test_a_float_would_be_found(source):
    assert floats(source, divisions=False)
