"""How time and memory are measured.

Contestants are timed side by side, in alternating rounds, so that whatever else the machine does meets all alike.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Timing:
    """Seconds that one contestant took, in each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.rounds)

    @property
    def spread(self) -> float:
        """The slowest round as a multiple of the fastest."""
        return max(self.rounds) / min(self.rounds)


def alternate(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Time each contestant once in every round (A B A B …), after a round that warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for count in range(rounds + 1):
        for name, run in contestants.items():
            begin = time.perf_counter()
            run()
            if count:
                seconds[name].append(time.perf_counter() - begin)
    return {name: Timing(tuple(rounds)) for name, rounds in seconds.items()}


def times_as_fast(ours: Timing, peer: Timing) -> float:
    """How many times as fast we are: above 1 is faster. The median of the ratios of each round."""
    return median(theirs / mine for mine, theirs in zip(ours.rounds, peer.rounds, strict=True))


def peak_resident_bytes() -> int:
    """Return the most memory that this process has held at once, with what the kernel maps into it. Linux alone."""
    # Not what `getrusage` says: a new process takes the peak of its parent over.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    return 1024 * int(peak[1])
