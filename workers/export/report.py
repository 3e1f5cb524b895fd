"""`report.json`: what was proved of an artifact, with estimates for devices."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from edgewise.spec.estimates import Work, estimates
from edgewise.spec.proof import ProofReport, Stage
from workers.engine.weights import TrainedNetwork
from workers.export.artifact import Origin
from workers.export.proof import NOISE, Evidence, Proof, Skipped, allowed


def proof_report(
    trained: TrainedNetwork, evidence: Evidence, proofs: tuple[Proof | Skipped, ...], origin: Origin, precision: str
) -> ProofReport:
    """Write down the chain of proofs, the trained network first; `precision` is that of the artifact's network."""
    return ProofReport(
        edgewise=origin.version,
        run=origin.run,
        weights_sha256=origin.weights_sha256,
        network=trained.spec.title,
        labels=trained.labels,
        test_clips=len(evidence.audio),
        available_clips=evidence.available,
        noise=NOISE,
        stages=tuple(_stage(proof) for proof in proofs),
        estimates=estimates(_work(trained, proofs, precision)),
    )


def _stage(proof: Proof | Skipped) -> Stage:
    if isinstance(proof, Skipped):
        return Stage(title=proof.form, status="skipped", reason=proof.reason)
    accuracy = proof.report.accuracy
    return Stage(
        title=proof.form,
        status="holds" if proof.holds else "differs",
        reason="" if proof.holds else proof.reason,
        demanded=allowed(proof.bound),
        clips=proof.report.clips,
        accuracy=round(accuracy.value, 6),
        accuracy_low=round(accuracy.low, 6),
        accuracy_high=round(accuracy.high, 6),
        accuracy_change=round(0.0 - proof.lost_accuracy, 6),
        agreement=round(proof.agreement, 6),
        score_difference=_rounded(proof.largest_difference),
        feature_difference=_rounded(proof.feature_difference),
        file_bytes=proof.file_bytes,
        resources=proof.resources,
    )


def _rounded(difference: float | None) -> float | None:
    """Keep one digit, which is the same wherever it is built; what is no number is none in JSON either."""
    return float(f"{difference:.0e}") if difference is not None and isfinite(difference) else None


def _work(trained: TrainedNetwork, proofs: tuple[Proof | Skipped, ...], precision: str) -> Work:
    preprocessing = trained.preprocessing
    frames_per_second = preprocessing.sample_rate / preprocessing.stride_samples
    cost = trained.spec.cost(preprocessing.num_features, len(trained.labels), frames_per_second)
    return Work(
        macs=cost.macs_per_second / frames_per_second,
        fft_points=preprocessing.fft_points,
        stride_seconds=1 / frames_per_second,
        precision=precision,
        counted=_counted(proofs, frames_per_second),
    )


def _counted(proofs: tuple[Proof | Skipped, ...], frames_per_second: float) -> Mapping[str, float]:
    """Instructions of one decision by target."""
    measured = (proof.resources for proof in proofs if isinstance(proof, Proof) and proof.resources)
    return {each.target: each.instructions_per_second / frames_per_second for each in measured}
