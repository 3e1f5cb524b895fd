"""The whole way from a trained network to a checked `artifact.zip`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise.spec.proof import ProofReport
from workers.engine.data import Clips
from workers.engine.errors import EngineError
from workers.engine.weights import TrainedNetwork
from workers.export import artifact
from workers.export.artifact import Origin
from workers.export.forms import FORMATS, Form, Wishes
from workers.export.proof import Evidence, Proof, Skipped, prove, require, start
from workers.export.report import proof_report


@dataclass(frozen=True)
class Built:
    """An archive and what was proved of it."""

    path: Path
    proofs: tuple[Proof | Skipped, ...]
    """The trained network's first."""
    report: ProofReport
    stages: int

    @property
    def accuracy(self) -> float:
        """Share of the test clips that the least accurate form hears right."""
        return artifact.worst(self.proofs).report.accuracy.value


class Refused(EngineError):
    """A form does not compute what was trained. The report shows which, and how far all are."""

    def __init__(self, error: EngineError, report: ProofReport) -> None:
        super().__init__(error.code, error.reason, error.remedy)
        self.report = report


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
        Refused: a form does not compute what was trained.
    """
    format = FORMATS[format_name]
    forms = format.forms(wishes)
    stages = 2 * len(forms) + 2
    report(0, stages, "Running the trained network on test clips")
    evidence = Evidence.gather(trained, test)
    proofs: list[Proof | Skipped] = [start(trained, evidence)]
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        for index, form in enumerate(forms):
            report(1 + 2 * index, stages, f"Writing the {form.title}")
            file_bytes = _write(form, folder, trained, format.only)
            report(2 + 2 * index, stages, f"Checking the {form.title} on test clips")
            proofs.append(_sized(prove(form, folder, trained, evidence), file_bytes))
        report(stages - 1, stages, "Packing")
        proved = tuple(proofs)
        table = proof_report(trained, evidence, proved, origin, wishes.precision)
        try:
            require(proved)
        except EngineError as error:
            raise Refused(error, table) from error
        artifact.describe(folder, trained, evidence, proved, table, wishes.point, origin, format.try_it)
        artifact.pack(folder, target, format.only)
    return Built(target, proved, table, stages)


def _write(form: Form, folder: Path, trained: TrainedNetwork, only: Collection[str] | None) -> int:
    """Write a form; return the size of those of its files that the archive will hold."""
    before = artifact.size(folder, only)
    form.write(folder, trained)
    return artifact.size(folder, only) - before


def _sized(proof: Proof | Skipped, file_bytes: int) -> Proof | Skipped:
    """Add the size of files; a form whose files came with another one has none of its own."""
    return replace(proof, file_bytes=file_bytes or None) if isinstance(proof, Proof) else proof
