"""Run the tests as other processors would, by environment: ``python -m tests.machines``.

All environments run to their end, each is told of in a line; the exit status is 1 if one failed.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import torch

# ATEN_CPU_CAPABILITY chooses among torch's own loops, MKL_... among the matrix products of Intel's
# library, ONEDNN_MAX_CPU_ISA among convolutions. Processors of other makers than Intel heed
# MKL_CBWR, but not MKL_ENABLE_INSTRUCTIONS.
ENVIRONMENTS = {
    "as it is": {},
    "loops without AVX": {"ATEN_CPU_CAPABILITY": "default"},
    "loops with AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "loops with AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "products with SSE4.2": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "products with AVX2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "products with AVX-512": {"MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "products as everywhere": {"MKL_CBWR": "COMPATIBLE"},
    "products as with AVX2": {"MKL_CBWR": "AVX2"},
    "convolutions with SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "convolutions with AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "four threads": {"OMP_NUM_THREADS": "4"},
    "old": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
    "all with AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
}
# What is run: the tests that are marked, or the contract alone where kernels differ most.
MARKED = ["tests", "-m", "machines"]
QUICK = ["old", "all with AVX2"], ["tests/test_sklearn_contract.py", "-m", "not slow"]


def is_here(name: str) -> bool:
    """Whether the processor has the instructions that torch would use in an environment."""
    here = torch.backends.cpu.get_cpu_capability().lower()
    usable = {"avx512": {"default", "avx2", "avx512"}, "avx2": {"default", "avx2"}}
    return ENVIRONMENTS[name].get("ATEN_CPU_CAPABILITY", "default") in usable.get(here, {"default"})


def run(name: str, selected: list[str]) -> tuple[bool, str]:
    """Run pytest in an environment: whether all passed, and its last line and those of failures."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selected],
        env={**os.environ, "OMP_NUM_THREADS": "1", **ENVIRONMENTS[name]},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.splitlines() or [""]
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 0, "\n    ".join([lines[-1], *failures])


def main() -> int:
    """Run the environments, as many at a time as there are jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="environments at a time")
    parser.add_argument("--quick", action="store_true", help="two of them, on the contract alone")
    options, more = parser.parse_known_args()
    names, selected = QUICK if options.quick else (list(ENVIRONMENTS), MARKED)
    names = list(filter(is_here, names))
    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = pool.map(lambda name: run(name, [*selected, *more]), names)
        for name, (passed, told) in zip(names, outcomes, strict=True):
            failed += not passed
            print(f"{'passed' if passed else 'FAILED'}  {name:<26}{told}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
