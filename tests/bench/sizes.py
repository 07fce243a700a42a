"""How much is measured, and on what: a figure without its machine says nothing."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from deploy.local.small import PARTITIONS
from deploy.local.stack import REPO


@dataclass(frozen=True)
class Sizes:
    """What `make bench` measures if it is told nothing else."""

    partitions: int = PARTITIONS
    apart: bool = False
    """Each service is a process of its own, as in containers; else as in a small installation."""
    rounds: int = 3
    orders: int = 12_000
    """Of the throughput: three commands each."""
    lives: int = 400
    """Disputed lifecycles a round, on each side."""
    at_once: int = 64
    """So many of them at a time."""
    seconds: float = 10.0
    """For which commands are paced, timers ring and nothing happens."""
    timers: int = 1_000_000
    """That are pending and far away."""
    overdue: int = 30_000
    """That fell due while the timer service was away."""


def machine() -> Mapping[str, object]:
    """Cores, CPU, Python, how busy it is now, and which commit is measured."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(asked, cwd=REPO, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
        "commit": commit,
    }


def _cpu_model() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def quantiles_ms(seconds: Sequence[float]) -> tuple[float, float]:
    """(p50, p99) in ms."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(part * (len(ordered) - 1))] * 1000 for part in (0.50, 0.99))
    return p50, p99


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median (least to greatest)."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
