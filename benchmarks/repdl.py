"""Products of matrices beside RepDL's (arXiv 2510.09180): the same words? at what cost?

    git clone https://github.com/microsoft/RepDL
    python benchmarks/repdl.py RepDL            # a compile of a minute, then half a minute

RepDL defines a product as we do, one accumulator per element, k ascending, one fused multiply-add per term; only the last +0 is ours. Its
package asks for CUDA to be installed, so its processor kernel alone is compiled here, with the flags of its setup.py. One thread,
CPU-seconds of this process, best of several; stock is torch.mm in the same run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.cpp_extension import load

from swarm.proof.canonical.ops.matmul import matmul

KERNEL = "backend/cpu/matrix_multiplication.cpp"
BINDING = """#include <torch/extension.h>
void bind_matrix_multiplication(py::module_ &m);
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { bind_matrix_multiplication(m); }
"""
SHAPES = ((64, 576, 576), (256, 576, 1536))  # rows, terms, columns: a layer of SmolLM2-135M


def cpu_seconds(work: Callable[[], torch.Tensor], times: int) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="a checkout of microsoft/RepDL")
    source = parser.parse_args().checkout / KERNEL
    if not source.is_file():
        parser.error(f"{source} is not there: give a checkout of https://github.com/microsoft/RepDL")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        binding = Path(folder) / "binding.cpp"
        binding.write_text(BINDING)
        theirs = load("repdl_mm", [str(source.resolve()), str(binding)], extra_cflags=["-fopenmp"], build_directory=folder)
        print(f"{'rows x terms x columns':26}{'stock ms':>10}{'RepDL':>10}{'canonical':>12}  words that differ")
        for rows, terms, columns in SHAPES:
            draw = torch.Generator().manual_seed(rows)
            a, b = torch.randn(rows, terms, generator=draw), torch.randn(columns, terms, generator=draw)
            stock = cpu_seconds(lambda a=a, b=b: a @ b.t(), 50)
            other = cpu_seconds(lambda a=a, b=b: theirs.mm(a, b, False, True), 2)
            own = cpu_seconds(lambda a=a, b=b: matmul(a, b.t()), 50)
            differ = int((theirs.mm(a, b, False, True).view(torch.int32) != matmul(a, b.t()).view(torch.int32)).sum())
            print(f"{f'{rows} x {terms} x {columns}':26}{1000 * stock:10.2f}{other / stock:9.0f}x{own / stock:11.2f}x  {differ} of {rows * columns}")


if __name__ == "__main__":
    main()
