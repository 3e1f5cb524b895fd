"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import edgewise

PACKAGES = ("numpy", "scipy", "tensorflow", "keras", "keras-lmu", "librosa", "nengo-edge")
GIGABYTE = 2**30


def machine() -> dict[str, str | int | float]:
    """Describe processor, cores that this process may use, memory in GiB, and operating system."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE, 1),
        "os": platform.platform(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def versions() -> dict[str, str]:
    """List the versions of what is measured; a package that is not installed is left out."""
    found = {"edgewise": edgewise.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load() -> list[float]:
    """Return the mean number of busy processes over the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]
