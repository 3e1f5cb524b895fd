"""The whole way from a trained network to a checked `artifact.zip`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
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
    stages = len(forms) + 2
    report(0, stages, "Running the trained network on test clips")
    evidence = Evidence.gather(trained, test)
    proofs: list[Proof | Skipped] = [start(trained, evidence)]
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        for index, form in enumerate(forms):
            tell = partial(report, 1 + index, stages)
            before = artifact.size(folder, format.only)
            proof = _make(form, folder, trained, evidence, tell)
            proofs.append(_sized(proof, artifact.size(folder, format.only) - before))
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


def _make(
    form: Form, folder: Path, trained: TrainedNetwork, evidence: Evidence, tell: Callable[[str], None]
) -> Proof | Skipped:
    """Write a form and prove it, or what stands in for it where it is too far from the trained network."""
    tell(f"Writing the {form.title}")
    form.write(folder, trained)
    tell(f"Checking the {form.title} on test clips")
    proof = prove(form, folder, trained, evidence)
    if form.otherwise is None or isinstance(proof, Skipped) or proof.holds:
        return proof
    return _make(form.otherwise, folder, trained, evidence, tell)


def _sized(proof: Proof | Skipped, file_bytes: int) -> Proof | Skipped:
    """Add the size of files; a form whose files came with another one has none of its own."""
    return replace(proof, file_bytes=file_bytes or None) if isinstance(proof, Proof) else proof
