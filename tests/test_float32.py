"""The contract's arithmetic is the definition's: the vectors that contracts/test/Numeric.t.sol reads, and bytecode on a chain."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are no installed package

from benchmarks import float32_fuzz, hard_words  # noqa: E402
from swarm.proof.canonical.definition.codes import Code  # noqa: E402


def test_vectors_of_the_contract_are_those_of_the_definition():
    assert hard_words.VECTORS.read_bytes() == hard_words.vectors(hard_words.EACH), "python -m benchmarks.hard_words"


def test_hard_cases_reach_every_edge():
    random = np.random.Generator(np.random.Philox(3))
    for code in (Code.ADD, Code.SUB, Code.MUL, Code.FMA, Code.DIV):
        operands = hard_words.cases(code, False, 20_000, random)
        results = hard_words.expected(code, False, operands)
        size = results & 0x7FFFFFFF
        edges = {"subnormal": (size > 0) & (size < 0x800000), "zero": size == 0, "infinite": size == 0x7F800000, "no number": size > 0x7F800000}
        for name, found in edges.items():
            assert found.mean() > 0.005, f"{code.name}: {name} in {found.mean():.2%}"


def test_definition_of_fma_is_the_c_librarys():
    operands = hard_words.cases(Code.FMA, False, 20_000, np.random.Generator(np.random.Philox(4)))
    assert float32_fuzz.against_libm(operands) == 0


@pytest.mark.slow
@pytest.mark.skipif(not (float32_fuzz.CONTRACTS / "node_modules/.bin/forge").exists(), reason="forge comes with `npm ci` in contracts/")
def test_the_bytecode_computes_the_definition(monkeypatch, capsys):
    """Half a minute, with the contracts built: python -m pytest -m slow tests/test_float32.py"""
    monkeypatch.setattr(sys, "argv", ["float32_fuzz.py", "--cases", "200000", "--seed", "5"])
    assert float32_fuzz.main() == 0, capsys.readouterr().out
