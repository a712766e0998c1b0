"""The contract's arithmetic against the definition, on a real EVM: every result is computed by the compiled bytecode of
contracts/src/numeric/ inside anvil (by `eth_call`, in batches) and compared word for word with numpy. Nothing is a model of the contract.

    python benchmarks/float32_fuzz.py                     # 10^7 cases, some 10 minutes; needs `npm ci` in contracts/
    python benchmarks/float32_fuzz.py --cases 200000 --seed 7

Cases are drawn by benchmarks/hard_words.py; operations with rounding get ten shares each, the others one. The definition of fma is itself
held against the C library's fmaf on a part of the cases.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are no installed package

from benchmarks.hard_words import cases, expected, operations  # noqa: E402
from swarm.chain.abi import Abi  # noqa: E402
from swarm.chain.anvil import find, free_port  # noqa: E402
from swarm.chain.rpc import Rpc  # noqa: E402
from swarm.errors import ChainError  # noqa: E402
from swarm.proof.canonical.definition.codes import Code  # noqa: E402

CONTRACTS = Path(__file__).parents[1] / "contracts"
BATCH = 20_000  # cases in one call
ROUNDING = {Code.ADD, Code.SUB, Code.MUL, Code.FMA, Code.DIV, Code.SQRT, Code.ADDEQ, Code.ADDLE}
SHARE = 10  # of an operation that rounds, beside 1
GAS = 2**40
START_S = 20.0
PLACE = "0x" + "f3" * 20  # where the code is said to lie


class Machine:
    """The batch contract behind a chain's `eth_call`: its code comes with every call, so that nothing needs to be deployed."""

    def __init__(self, rpc: Rpc, built: dict):
        self.rpc, self.abi, self.code = rpc, Abi(built["abi"]), built["deployedBytecode"]["object"]

    def run(self, code: Code, folds: bool, operands: np.ndarray) -> np.ndarray:
        """Results of (n, 4) words."""
        data = self.abi.call("many", [int(code), folds, operands.astype(">u4").tobytes()])
        call = {"to": PLACE, "data": "0x" + data.hex(), "gas": hex(GAS)}
        answer = bytes.fromhex(self.rpc.call("eth_call", call, "latest", {PLACE: {"code": self.code}})[2:])
        return np.frombuffer(answer[64:], ">u4").astype(np.uint32)[: len(operands)]  # behind the offset and the length


@contextmanager
def machine() -> Iterator[Machine]:
    """Build the contract and start an anvil that lets a call take its time."""
    import json

    subprocess.run(["npx", "forge", "build"], cwd=CONTRACTS, check=True, stdout=subprocess.DEVNULL)
    built = json.loads((CONTRACTS / "out/ScalarBatch.sol/ScalarBatch.json").read_text())
    port = free_port()
    options = ["--hardfork", "prague", "--disable-block-gas-limit", "--accounts", "0", "--quiet", "--no-mining"]
    process = subprocess.Popen([find(), "--port", str(port), *options], stdout=subprocess.DEVNULL)
    try:
        rpc = Rpc(f"http://127.0.0.1:{port}", timeout_s=120.0)
        rpc.patience_s = START_S
        yield Machine(rpc, built)
    finally:
        process.terminate()
        process.wait()


def against_libm(operands: np.ndarray) -> int:
    """How often the definition of fma and the C library's fmaf differ."""
    name = ctypes.util.find_library("m")
    if name is None:
        return 0
    fmaf = ctypes.CDLL(name).fmaf
    fmaf.argtypes, fmaf.restype = [ctypes.c_float] * 3, ctypes.c_float
    theirs = np.array([fmaf(*row) for row in operands[:, :3].view(np.float32).tolist()], np.float32)
    ours = expected(Code.FMA, False, operands).view(np.float32)
    return int(np.sum((ours.view(np.uint32) != theirs.view(np.uint32)) & ~(np.isnan(ours) & np.isnan(theirs))))


def compare(evm: Machine, code: Code, folds: bool, count: int, random: np.random.Generator) -> int:
    """Number of cases in which the contract and the definition differ; the first few are printed."""
    wrong = 0
    for start in range(0, count, BATCH):
        operands = cases(code, folds, min(BATCH, count - start), random)
        theirs, ours = evm.run(code, folds, operands), expected(code, folds, operands)
        for i in np.flatnonzero(theirs != ours)[: max(0, 5 - wrong)]:
            words = " ".join(f"{word:08x}" for word in operands[i])
            print(f"  {code.name}({words}): contract {theirs[i]:08x}, definition {ours[i]:08x}")
        wrong += int(np.sum(theirs != ours))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10**7)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.Generator(np.random.Philox(options.seed))
    shares = [SHARE if code in ROUNDING else 1 for code, _ in operations()]
    total = wrong = 0
    started = time.monotonic()
    try:
        with machine() as evm:
            for (code, folds), share in zip(operations(), shares, strict=True):
                count = -(-options.cases * share // sum(shares))
                bad = compare(evm, code, folds, count, random)
                print(f"{'fold' if folds else 'map':5}{code.name:8}{count:>10,} cases, {bad} differ", flush=True)
                total, wrong = total + count, wrong + bad
    except ChainError as error:
        print(f"{error}: {error.hint}", file=sys.stderr)
        return 2
    sample = cases(Code.FMA, False, min(options.cases, 200_000), random)
    libm = against_libm(sample)
    print(f"definition of fma against the C library's fmaf: {len(sample):,} cases, {libm} differ")
    print(f"{total:,} cases through the contract's bytecode, {wrong} differ; seed {options.seed}, {time.monotonic() - started:.0f} s")
    return 1 if wrong or libm else 0


if __name__ == "__main__":
    sys.exit(main())
