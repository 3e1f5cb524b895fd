"""Clips with which something is wrong by themselves: too quiet, clipped, too short or too long for a word."""

from __future__ import annotations

import numpy as np

from edgewise.spec.quality import FindingCode
from workers.engine.audio import Int16Array
from workers.engine.ingest import IngestedClip

NEAR_SILENT_DBFS = -45.0
"""Peak. Of 16 bits only 8 are in use then, and a microphone's own noise is about as loud."""
CLIPPED_DBFS = -3.0
"""Only peaks above this can be clipped."""
FLAT_SAMPLES = 10
"""Samples at the peak that follow another one there. A loud sound that was not clipped has one or two."""
SHORTEST_SECONDS = 0.1
LONGEST_MEDIANS = 3.0


def faults(clip: IngestedClip, median_seconds: float, samples: Int16Array) -> list[FindingCode]:
    """List what is wrong with a clip.

    Args:
        clip: with its levels.
        median_seconds: the usual length of a clip in this data.
        samples: of the clip.
    """
    found = []
    seconds = clip.length / clip.sample_rate
    if clip.peak_dbfs < NEAR_SILENT_DBFS:
        found.append(FindingCode.NEAR_SILENT)
    elif clip.peak_dbfs > CLIPPED_DBFS and _flat(samples) >= FLAT_SAMPLES:
        found.append(FindingCode.CLIPPED)
    if seconds < SHORTEST_SECONDS:
        found.append(FindingCode.TOO_SHORT)
    elif seconds > LONGEST_MEDIANS * median_seconds:
        found.append(FindingCode.TOO_LONG)
    return found


def _flat(samples: Int16Array) -> int:
    """Count the samples at the highest or lowest value that follow one of the same value."""
    extreme = (samples == samples.max()) | (samples == samples.min())
    return int(np.count_nonzero(extreme[1:] & (samples[1:] == samples[:-1])))
