"""The peak memory of a fit, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sklearn_mixup import MixupClassifier

_MIB = 2**20


def measure_memory(
    data_mib: int, chunk_mib: int, *, n_processes: int, device: str
) -> dict[str, Any]:
    """Measure the peak memory of a fit in MiB: the most over some processes of their own."""
    peaks = [_measure_peak(data_mib, chunk_mib, device) for _ in range(n_processes)]
    return {"data_mib": data_mib, "chunk_mib": chunk_mib, "peak_mib": round(max(peaks), 1)}


def _measure_peak(data_mib: int, chunk_mib: int, device: str) -> float:
    """Measure once, in another process."""
    work = f"print(fit_table_of({data_mib}, {chunk_mib}, {device!r}))"
    command = [sys.executable, "-c", f"from {__name__} import fit_table_of; {work}"]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"The process that measures memory failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def fit_table_of(data_mib: int, chunk_mib: int, device: str) -> float:
    """Fit a table of that size and return by how many MiB memory rose at most."""
    torch.set_num_threads(1)
    X = np.random.default_rng(0).standard_normal((data_mib * 1024, 256), dtype=np.float32)  # 1 KiB
    y = np.arange(len(X)) % 10
    classifier = MixupClassifier(
        max_epochs=1,
        batch_size=512,
        device=device,
        iterator_train__chunk_bytes=chunk_mib * _MIB,
        random_state=0,
    )
    classifier.fit(X[:2048], y[:2048])  # Loads what is loaded on first use.
    if torch.device(classifier.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        allocated = torch.cuda.memory_allocated()
        classifier.fit(X, y)
        return (torch.cuda.max_memory_allocated() - allocated) / _MIB
    before = _resident_mib("VmRSS")
    classifier.fit(X, y)
    return _resident_mib("VmHWM") - before


def _resident_mib(field: str) -> float:
    """Resident memory of this process now (VmRSS), or the most there ever was (VmHWM)."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines[field].split()[0]) / 1024
    import resource  # Where there is no /proc; no "now" there, so before is the peak so far.

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


def memory_table(memory: Mapping[str, Any]) -> pd.DataFrame:
    """Write the memory, in MiB."""
    limit = memory["data_mib"] + memory["chunk_mib"]
    row = {
        "data (MiB)": f"{memory['data_mib']}",
        "chunk (MiB)": f"{memory['chunk_mib']}",
        "peak of fit beyond the caller's data (MiB)": f"{memory['peak_mib']:.0f}",
        "target": f"<= {limit:.0f}",
        "met": "pass" if memory["peak_mib"] <= limit else "FAIL",
    }
    return pd.DataFrame([row])
