"""`artifact.zip`: the files of a format with all that belongs to them, in one flat archive.

The same input gives the same bytes: names are sorted, times fixed, and nothing in it depends on where, when or by whom
it was made.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.proof import REPORT, ProofReport
from workers.engine.networks import fold
from workers.engine.weights import TrainedNetwork
from workers.export.proof import Evidence, Proof, Skipped
from workers.export.readme import readme

CLIENT_VERSION = "24.3.6"
GOLDEN_CLIPS = 10

EARLIEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Origin:
    """Where an artifact comes from, as it says itself."""

    version: str
    """Of Edgewise."""
    run: str
    dataset: str
    revision: int
    """Of the dataset's clips: how many edits lay over the recordings."""
    weights_sha256: str
    seed: int
    data_licence: str
    """A sentence."""


def describe(
    folder: Path,
    trained: TrainedNetwork,
    evidence: Evidence,
    proofs: tuple[Proof | Skipped, ...],
    report: ProofReport,
    point: OperatingPoint,
    origin: Origin,
    try_it: Path,
) -> None:
    """Write beside the files of a format what tells how to use and check them; `try_it` is its program for that."""
    compiled_for = next((path.name for path in (folder / "lib").glob("*")), None)
    parameters = json.dumps(parameters_json(trained, proofs, point, origin), indent=2, ensure_ascii=False) + "\n"
    (folder / "parameters.json").write_text(parameters, encoding="utf-8")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in trained.labels), encoding="utf-8")
    (folder / "README.md").write_text(readme(trained, report, proofs, point, origin, compiled_for), encoding="utf-8")
    (folder / REPORT).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / try_it.name).write_bytes(try_it.read_bytes())
    golden = evidence.of_every_label(GOLDEN_CLIPS)
    np.savez(
        folder / "golden.npz",
        audio=golden.audio,
        features=golden.features(trained),
        logits=golden.logits,
        truth=golden.truth,
    )


def parameters_json(
    trained: TrainedNetwork, proofs: tuple[Proof | Skipped, ...], point: OperatingPoint, origin: Origin
) -> dict[str, Any]:
    """Return what the client reads, and beside it what it ignores: `labels`, `threshold`, `detection`, `edgewise`.

    `preprocessing` must hold the client's eight parameters and nothing else, and `version` the client's version.
    """
    preprocessing = {name: _plain(value) for name, value in trained.preprocessing.model_dump().items()}
    return {
        "preprocessing": preprocessing,
        "model": {
            "type": "kws",
            "return_sequences": False,
            "n_unroll": 1,
            "input_shape": [None, trained.preprocessing.num_features],
            "output_shape": [None, len(trained.labels)],
            "state_shapes": fold(trained.spec, trained.arrays).state_shapes,
        },
        "postprocessing": {},
        "version": {"nengo-edge": CLIENT_VERSION},
        "labels": list(trained.labels),
        "threshold": point.threshold,
        "detection": {"smoothing_ms": point.smoothing_ms, "refractory_ms": _plain(trained.clip_milliseconds)},
        "edgewise": {
            "version": origin.version,
            "run": origin.run,
            "dataset": origin.dataset,
            "revision": origin.revision,
            "weights_sha256": origin.weights_sha256,
            "accuracy": round(worst(proofs).report.accuracy.value, 6),
            "seed": origin.seed,
        },
    }


def worst(proofs: tuple[Proof | Skipped, ...]) -> Proof:
    """Return the proof of the least accurate form: what an artifact promises holds for each of its forms.

    The trained network, which comes first, is no form of it, and a form that heard but a part of the clips is not
    comparable.
    """
    forms = [proof for proof in proofs[1:] if isinstance(proof, Proof)]
    most = max(proof.report.clips for proof in forms)
    return min((proof for proof in forms if proof.report.clips == most), key=lambda proof: proof.report.accuracy.value)


def size(folder: Path, only: Collection[str] | None = None) -> int:
    """Add up the bytes of the files in `folder`, all or `only` some."""
    return sum(path.stat().st_size for _, path in _files(folder, only))


def pack(folder: Path, target: Path, only: Collection[str] | None = None) -> None:
    """Put the files in `folder`, all or `only` some, into the archive `target`, which appears when it is whole."""
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as archive:
        for name, path in _files(folder, only):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    os.replace(part, target)


def _files(folder: Path, only: Collection[str] | None) -> list[tuple[str, Path]]:
    """List names and paths in an order that is always the same."""
    files = ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return sorted((name, path) for name, path in files if only is None or name in only)


def _plain(value: float) -> float:
    """Write 40.0 as 40, as the client's own files do."""
    return int(value) if float(value).is_integer() else value
