"""The whole way from a trained network to a checked `artifact.zip`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.engine.data import Clips
from workers.engine.weights import TrainedNetwork
from workers.export import artifact
from workers.export.artifact import Origin
from workers.export.forms import FORMATS, Wishes
from workers.export.proof import Evidence, Proof, prove


@dataclass(frozen=True)
class Built:
    """An archive and what was proved of it."""

    path: Path
    proofs: tuple[Proof, ...]
    stages: int

    @property
    def accuracy(self) -> float:
        """Share of the test clips that the least accurate form hears right."""
        return artifact.worst(self.proofs).report.accuracy.value


def build(
    format_name: str,
    wishes: Wishes,
    trained: TrainedNetwork,
    test: Clips,
    origin: Origin,
    target: Path,
    report: Callable[[int, int, str], None],
) -> Built:
    """Make the archive `target`.

    Args:
        format_name: one of `FORMATS`.
        wishes: what was chosen for it.
        trained: the network.
        test: the clips that judge each form.
        origin: what the artifact says of itself.
        target: appears when it is whole.
        report: is told stages done, stages in all, and what comes next.

    Raises:
        EngineError: a form does not compute what was trained.
    """
    format = FORMATS[format_name]
    forms = format.forms(wishes)
    stages = 2 * len(forms) + 2
    report(0, stages, "Running the trained network on test clips")
    evidence = Evidence.gather(trained, test)
    proofs: list[Proof] = []
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        for form in forms:
            report(1 + 2 * len(proofs), stages, f"Writing the {form.title}")
            form.write(folder, trained)
            report(2 + 2 * len(proofs), stages, f"Checking the {form.title} on {len(evidence.audio):,} test clips")
            proofs.append(prove(form, folder, trained, evidence))
        report(stages - 1, stages, "Packing")
        artifact.describe(folder, trained, evidence, tuple(proofs), wishes.point, origin, format.try_it)
        artifact.pack(folder, target, format.only)
    return Built(target, tuple(proofs), stages)
