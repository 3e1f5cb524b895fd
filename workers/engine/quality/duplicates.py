"""Recordings that are there more than once: the same samples, or the same sound at another level, rate or place.

Copies with the same samples have the same hash. For others, neighbours among the alignments (`signatures`) are
candidates, and a pair is confirmed by the normalised cross-correlation of the two sounds, at the best lag: two takes of
a word by one speaker reach about 0.4, copies that went through a lossy coder more than 0.9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from workers.engine.audio import Int16Array
from workers.engine.quality.signatures import Float32Array, heard

NEIGHBOURS = 8
CLOSER = 0.65
"""A copy is much nearer than the last of the neighbours, where another take is about as near as all of them."""
APPROXIMATION = 0.5
"""Neighbours may be missed that are not nearer than those found by this share; it saves most of the search."""
ALIKE = 0.8
"""Smallest correlation of two copies."""
LOWEST_HERTZ, HIGHEST_HERTZ = 100, 3500
QUERIES_AT_ONCE = 4096

Sound = tuple[Int16Array, int]
"""Samples and their rate."""


def digest(samples: Int16Array, rate: int) -> int:
    """Return 64 bits that name the samples and their rate."""
    content = np.ascontiguousarray(samples).data
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, salt=rate.to_bytes(4, "little")).digest(), "little")


def find_copies(
    digests: npt.NDArray[np.uint64], alignments: Float32Array, audible: npt.NDArray[np.bool_],
    sound: Callable[[int], Sound], stop: Callable[[], None],
) -> list[list[int]]:  # fmt: skip
    """Group the clips that hold the same recording, by their rows; who is alone is in no group.

    Args:
        digests: of each clip's samples.
        alignments: (clips, ALIGNMENT_SIZE).
        audible: which clips hold enough sound to be compared.
        sound: gives samples and rate of a clip.
        stop: is called now and then, and raises where the work shall end.
    """
    # Near copies of exact copies are near to the first of them: it stands for all.
    _, first, same = np.unique(digests, return_index=True, return_inverse=True)
    singles = first[audible[first]]
    near = []
    for pair in sorted(_neighbours(alignments[singles], stop)):
        stop()
        one, other = (int(singles[row]) for row in pair)
        if correlation(sound(one), sound(other)) >= ALIKE:
            near.append((one, other))
    edges = np.array([*enumerate(first[same]), *near])
    count = len(digests)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    return list(_groups(group))


def _groups(group: npt.NDArray[np.int32]) -> Iterator[list[int]]:
    """Give the rows of every group of more than one."""
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(rows) > 1:
            yield rows.tolist()


def _neighbours(alignments: Float32Array, stop: Callable[[], None]) -> set[tuple[int, int]]:
    """Return pairs of rows of which one is far nearer to the other than to its neighbours at large."""
    found: set[tuple[int, int]] = set()
    tree = KDTree(alignments)
    for begin in range(0, len(alignments), QUERIES_AT_ONCE):
        stop()
        asked = alignments[begin : begin + QUERIES_AT_ONCE]
        distance, row = map(np.asarray, tree.query(asked, k=NEIGHBOURS + 1, eps=APPROXIMATION))
        # With fewer rows than neighbours the last is infinitely far: then all others are candidates.
        near = distance < CLOSER * distance[:, -1:]
        for one, place in np.argwhere(near):
            pair = (begin + int(one), int(row[one, place]))
            if pair[0] != pair[1]:
                found.add((min(pair), max(pair)))
    return found


def correlation(one: Sound, other: Sound) -> float:
    """Return the largest normalised cross-correlation of two sounds over all lags, from 0 to 1.

    Their spectra are cut to one band and weighted with frequency, so that neither a difference in sample rate nor a
    hum that both have matters.
    """
    first, second = (heard(*sound) for sound in (one, other))
    # Whole seconds: then bin k is the same frequency in both, whatever their rates.
    seconds = int(np.ceil(len(first) / one[1] + len(second) / other[1]))
    spectra = (_spectrum(first, one[1], seconds), _spectrum(second, other[1], seconds))
    norm = float(np.linalg.norm(spectra[0]) * np.linalg.norm(spectra[1]))
    if norm == 0:
        return 0.0
    # Only positive frequencies: the magnitude is then the envelope, which no fraction of a sample between lags hides.
    lags = fft.ifft(spectra[0] * spectra[1].conj(), fft.next_fast_len(2 * len(spectra[0])), norm="forward")
    return float(np.abs(lags).max() / norm)


def _spectrum(samples: Int16Array, rate: int, seconds: int) -> npt.NDArray[np.complex64]:
    spectrum = fft.rfft(samples.astype(np.float32), rate * seconds)
    band = slice(LOWEST_HERTZ * seconds, HIGHEST_HERTZ * seconds)
    cut = np.zeros(band.stop - band.start, np.complex64)
    there = spectrum[band]
    cut[: len(there)] = there
    return np.asarray(cut * np.arange(band.start, band.stop, dtype=np.float32))
