"""The base of canonical numerics: scalar codes against libm and plain arithmetic, views and primitive operations against numpy."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import math
from collections.abc import Callable

import numpy as np
import pytest

from swarm.policy import noise
from swarm.proof.canonical.definition import machine as machine_module
from swarm.proof.canonical.definition.codes import FOLD, NAN, NONE, SCALAR, Code
from swarm.proof.canonical.definition.machine import IMMEDIATE, Kind, Machine

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
EDGES = np.array(
    [0, 1 << 31, 1, 0x80000001, 0x7FFFFF, 0x800000, 0x80800000, 0x3F800000, 0xBF800000, 0x7F7FFFFF, 0xFF7FFFFF]
    + [0x7F800000, 0xFF800000, NAN, 0x7F800001, 0xFFC12345, 0x4EFFFFFF, 0x4F000000, 0xCF000000, 0xCF000001],
    np.uint32,
)


def words(*floats: float) -> np.ndarray:
    return np.array(floats, np.float32).view(np.uint32)


def drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random words: half of any bits, half of moderate exponents."""
    wild = rng.integers(0, 2**32, count, dtype=np.uint32)
    mild = (wild & np.uint32(0x807FFFFF)) | ((rng.integers(100, 150, count, dtype=np.uint32)) << np.uint32(23))
    return np.where(rng.random(count) < 0.5, wild, mild)


@functools.cache
def fmaf() -> Callable[..., float]:
    function = ctypes.CDLL(ctypes.util.find_library("m")).fmaf
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    return function


def exact_fma(a: int, b: int, c: int) -> int:
    """libm's fmaf on words."""
    found = np.float32(fmaf()(*(float(np.uint32(word).view(np.float32)) for word in (a, b, c))))
    return NAN if np.isnan(found) else int(found.view(np.uint32))


def test_fma_is_rounded_once():
    rng = np.random.default_rng(6)
    a, b, c = drawn(rng, 6000), drawn(rng, 6000), drawn(rng, 6000)
    product = (a.view(np.float32) * b.view(np.float32)).view(np.uint32)
    near = (product ^ np.uint32(1 << 31)) + rng.integers(-2, 3, 6000).astype(np.uint32)  # almost all of the product is cancelled
    c = np.where(rng.random(6000) < 0.5, near, c)
    edges = [each.reshape(-1) for each in np.meshgrid(EDGES, EDGES[:15], EDGES, indexing="ij")]
    a, b, c = (np.concatenate([random, edge]) for random, edge in zip((a, b, c), edges, strict=True))
    got = SCALAR[Code.FMA](a, b, c)
    assert got.tolist() == [exact_fma(*each) for each in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    assert FOLD[Code.FMA](c, a, b).tolist() == got.tolist()


@pytest.mark.parametrize("code", [Code.ADD, Code.SUB, Code.MUL, Code.DIV])
def test_arithmetic_is_correctly_rounded_and_has_one_nan(code: Code):
    """Against float64, in which one operation on float32 is rounded without harm (Figueroa 1995: 53 >= 2 * 24 + 2)."""
    a, b = (each.reshape(-1) for each in np.meshgrid(EDGES, EDGES))
    x, y = a.view(np.float32).astype(np.float64), b.view(np.float32).astype(np.float64)
    wide = {Code.ADD: x + y, Code.SUB: x - y, Code.MUL: x * y, Code.DIV: x / y}[code].astype(np.float32)
    assert SCALAR[code](a, b).tolist() == np.where(np.isnan(wide), np.uint32(NAN), wide.view(np.uint32)).tolist()


def test_larger_and_smaller_order_zeros_and_let_nan_win():
    def larger(a: int, b: int) -> int:
        x, y = (float(np.uint32(word).view(np.float32)) for word in (a, b))
        if math.isnan(x) or math.isnan(y):
            return NAN
        return max((x, math.copysign(1, x), a), (y, math.copysign(1, y), b))[2]

    for a in EDGES.tolist():
        for b in EDGES.tolist():
            pair = np.array([a], np.uint32), np.array([b], np.uint32)
            best = larger(a, b)
            assert int(SCALAR[Code.MAX](*pair)[0]) == best
            assert int(SCALAR[Code.MIN](*pair)[0]) == (NAN if best == NAN else b if best == a else a)


def test_conversions_between_integers_and_floats():
    floats = [0.0, -0.0, 1.9, -1.9, 2.0**31, -(2.0**31), 2147483520.0, -2147483904.0, math.inf, -math.inf, math.nan, 2.0**-140]
    wanted = [0, 0, 1, -1, -(2**31), -(2**31), 2147483520, -(2**31), -(2**31), -(2**31), -(2**31), 0]
    assert SCALAR[Code.F2I](words(*floats)).view(np.int32).tolist() == wanted
    integers = np.array([0, 1, -1, 2**24 + 1, -(2**24) - 3, 2**31 - 1, -(2**31)], np.int32)
    assert SCALAR[Code.I2F](integers.view(np.uint32)).view(np.float32).tolist() == [np.float32(int(i)) for i in integers]


def test_sign_and_order_codes():
    one = EDGES
    got = SCALAR[Code.NEG](one)
    nan = np.isnan(one.view(np.float32))
    assert got[~nan].tolist() == (one[~nan] ^ np.uint32(1 << 31)).tolist() and set(got[nan].tolist()) == {NAN}
    assert SCALAR[Code.ABS](words(-3, 3, -0.0)).tolist() == words(3, 3, 0).tolist()
    assert SCALAR[Code.ISNAN](one).tolist() == nan.astype(int).tolist()
    a, b = words(1, 2, math.nan, -0.0), words(2, 2, math.nan, 0.0)
    assert [SCALAR[code](a, b).tolist() for code in (Code.LT, Code.LE, Code.EQ)] == [[1, 0, 0, 0], [1, 1, 0, 1], [0, 1, 0, 1]]


def test_integer_codes_wrap_and_shift():
    a, b = np.array([0xFFFFFFFF, 0x80000000, 7], np.uint32), np.array([2, 33, 31], np.uint32)
    wanted = {
        Code.IADD: [1, 0x80000021, 38],
        Code.ISUB: [0xFFFFFFFD, 0x7FFFFFDF, 0xFFFFFFE8],
        Code.IMUL: [0xFFFFFFFE, 0x80000000, 217],
        Code.SHL: [0xFFFFFFFC, 0, 0x80000000],
        Code.SHR: [0x3FFFFFFF, 0x40000000, 0],
        Code.SAR: [0xFFFFFFFF, 0xC0000000, 0],
        Code.ILT: [1, 1, 1],
        Code.IEQ: [0, 0, 0],
        Code.AND: [2, 0, 7],
        Code.OR: [0xFFFFFFFF, 0x80000021, 31],
        Code.XOR: [0xFFFFFFFD, 0x80000021, 24],
    }
    assert {code: SCALAR[code](a, b).tolist() for code in wanted} == wanted
    assert SCALAR[Code.SELECT](np.array([0, 5], np.uint32), a[:2], b[:2]).tolist() == [2, 0x80000000]


def test_folds_that_look_at_integers():
    acc, a = words(1, 1, 1), words(2, 2, 2)
    b, c = np.array([3, 4, 5], np.uint32), np.array([4, 4, 4], np.uint32)
    assert FOLD[Code.ADDEQ](acc, a, b, c).view(np.float32).tolist() == [1, 3, 1]
    assert FOLD[Code.ADDLE](acc, a, b, c).view(np.float32).tolist() == [3, 3, 1]
    found = np.array([NONE, NONE, 9], np.uint32)
    assert FOLD[Code.FIRSTEQ](found, a, words(2, 3, 2), c).tolist() == [4, NONE, 9]


def test_views_are_affine_maps():
    machine, array = Machine(), np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    view = machine.take(array)
    seen = lambda v: v.array().view(np.int32)  # noqa: E731
    assert (seen(view.permute(2, 0, 1)) == array.transpose(2, 0, 1)).all()
    assert (seen(view.transpose(0, -1)) == array.swapaxes(0, -1)).all()
    assert (seen(view.cut(1, 0, 3, 2)) == array[:, 0:3:2]).all()
    assert (seen(view.at(1, 2)) == array[:, 2]).all()
    assert (seen(view.grown(0, 5)) == np.broadcast_to(array, (5, 2, 3, 4))).all()
    assert (seen(view.at(0, 1).expand(3, 3, 4)) == np.broadcast_to(array[1], (3, 3, 4))).all()
    assert (seen(view.reshape(6, 4)) == array.reshape(6, 4)).all()
    assert view.cut(2, 1, 1).array().shape == (2, 3, 0)
    with pytest.raises(ValueError, match="cannot be seen"):
        view.transpose(0, 1).reshape(24)
    with pytest.raises(ValueError, match="does not expand"):
        view.expand(2, 3, 5)


def test_immediates_are_constants_and_coordinates():
    machine = Machine()
    assert machine.constant(1.5).floats().tolist() == 1.5 and machine.word(-1).array().tolist() == NONE
    assert machine.coordinate((2, 3), 1).array().tolist() == [[0, 1, 2], [0, 1, 2]]


def test_every_kind_of_operation():
    machine = Machine()
    table, places = machine.take(np.arange(12, dtype=np.float32).reshape(4, 3)), machine.take(np.array([[3], [0]]))
    total = machine.map(Code.ADD, table, machine.constant(1))
    assert total.floats().tolist() == (np.arange(12, dtype=np.float32).reshape(4, 3) + 1).tolist()
    sums = machine.fold(Code.ADD, machine.constant(0), table)
    assert sums.floats().tolist() == [3, 12, 21, 30]
    assert machine.gather(table, places, 0).floats().tolist() == [[[9, 10, 11]], [[0, 1, 2]]]
    changed = machine.update(table.at(0, 1), sums.cut(0, 0, 3))
    assert changed.reshape(4, 3).floats()[1].tolist() == [3, 12, 21] and table.floats()[1].tolist() == [3, 4, 5]
    seed = bytes(range(32))
    assert (machine.noise(seed, 2, 3, 5).array().view(np.int32) == noise.bits(seed, range(2, 5), 5)).all()
    assert [each.kind for each in machine.instructions] == [Kind.MAP, Kind.FOLD, Kind.GATHER, Kind.UPDATE, Kind.NOISE]
    assert machine.instructions[0].operands[1].number == IMMEDIATE and len(machine.values) == machine.taken + 5
    with pytest.raises(IndexError):
        machine.gather(table, machine.map(Code.IADD, places, machine.word(1)), 0)


def test_a_word_picked_outside_of_its_value_is_0():
    """As the contract has it: also before the beginning, where numpy would count from the end."""
    machine = Machine()
    table, places = machine.take(np.array([5.0, 6.0, 7.0], np.float32)), machine.take(np.array([-1, 0, 2, 3]))
    found = machine.pick(table.at(0, 0).expand(4), places, 1)
    assert found.floats().tolist() == [0, 5, 7, 0]


def test_a_large_fold_is_computed_place_by_place(monkeypatch):
    def words() -> np.ndarray:
        m = Machine()
        a, b = (m.take(np.arange(12, dtype=np.float32).reshape(4, 3) + n) for n in (0, 7))
        return m.fold(Code.FMA, m.constant(0.5), a.grown(1, 4), b.grown(0, 4)).array()

    once = words()
    monkeypatch.setattr(machine_module, "MOST_LAID_OUT", 0)
    assert (words() == once).all()
    test_a_fold_over_nothing_is_its_start()


def test_a_fold_over_nothing_is_its_start():
    machine = Machine()
    nothing = machine.take(np.empty((3, 0), np.float32))
    assert machine.fold(Code.FMA, machine.constant(0), nothing, nothing).array().tolist() == [0, 0, 0]


def test_inputs_fit_words_and_come_first():
    machine = Machine()
    with pytest.raises(ValueError, match="does not fit"):
        machine.take(np.array([2**31]))
    with pytest.raises(ValueError, match="words"):
        machine.take(np.zeros(2))
    assert machine.take(np.array([True, False])).array().tolist() == [1, 0]
    machine.map(Code.MOV, machine.word(1))
    with pytest.raises(ValueError, match="first"):
        machine.take(np.zeros(1, np.float32))
