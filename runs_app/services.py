"""What users do with projects and runs."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Q
from pydantic import ValidationError

from datasets_app import recipe
from datasets_app.models import Dataset, Split
from datasets_app.revisions import DataRevision, Revisions, newest_revisions
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid, NotFound, Problems
from edgewise.ids import new_id
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.spec.detection import OperatingPoint
from edgewise.spec.fields import explain
from edgewise.spec.network import NETWORKS, NetworkSpec
from edgewise.spec.run import RunParameters
from edgewise.storage import delete_folder
from runs_app.costs import CostBreakdown
from runs_app.models import Detection, Project, Run, Series

LONGEST_NAME = 100
TOO_LONG = f"The name can have at most {LONGEST_NAME} characters."
POINTS_TO_ESTIMATE_FROM = 50
DEFAULT_NETWORK = str(RunParameters.model_fields["network"].default)


# --- projects ---------------------------------------------------------------------------------------------------------


def create_project(*, workspace: Workspace, user: User, name: str) -> Project:
    """Make a project.

    Raises:
        Invalid: the name is missing or taken.
    """
    name = _project_name(workspace, name)
    with _name_is_free(name):
        return Project.objects.create(workspace=workspace, created_by=user, name=name)


def rename_project(project: Project, name: str) -> None:
    """Give a project another name."""
    project.name = _project_name(project.workspace, name, but=project)
    with _name_is_free(project.name):
        project.save(update_fields=["name"])


def delete_project(project: Project) -> None:
    """Delete a project with its runs.

    Raises:
        Conflict: one of its runs is at work, or runs of other projects began from its weights.
    """
    with transaction.atomic():
        # Heirs first: a run is protected while another one names it as its origin.
        for run in project.runs.order_by("-created_at"):
            delete_run(run)
        project.delete()


# --- runs -------------------------------------------------------------------------------------------------------------


def create_run(
    *, workspace: Workspace, user: User, project: Project, name: str, dataset: Dataset,
    parameters: Mapping[str, Any], initial_weights: Run | None = None, same_data_as: Run | None = None,
    run_id: uuid.UUID | None = None,
) -> Run:  # fmt: skip
    """Make a run and queue it ("Optimize"). Parameters that are left out follow from dataset and network.

    It keeps the revision of the data at which it is made: whatever is edited later, it trains on the same clips. That
    is the newest revision, or the one of `same_data_as`, an earlier run on the same dataset that shall be repeated.
    `run_id` is for a run whose id was given out before it was made.

    Raises:
        Invalid: a parameter is wrong, the dataset has nothing to learn from, the initial weights do not fit, the run
            to be repeated is on another dataset, or the name is missing or taken.
        NotFound: project, dataset, initial weights or the run to be repeated are another workspace's.
        QueueFull: too many runs wait already.
    """
    rows = ((project, "project"), (dataset, "dataset"), (initial_weights, "run"), (same_data_as, "run"))
    for row, what in rows:
        if row is not None and row.workspace_id != workspace.pk:
            raise NotFound(what)
    at = revisions_for(dataset, same_data_as)
    problems = Problems(why_untrainable(dataset, at["revision"]))
    if same_data_as is not None and same_data_as.dataset_id != dataset.pk:
        problems.fields["same_data_as"] = f"“{same_data_as.name}” is on another dataset: “{same_data_as.dataset.name}”."
    with problems.gathered():
        settings = validated(dataset, parameters)
        if initial_weights is not None and (reason := _why_incompatible(initial_weights, settings)):
            raise Invalid({"initial_weights": f"The weights of “{initial_weights.name}” do not fit: {reason}"})
    with problems.gathered():
        name = _run_name(project, name)
    problems.raise_any()
    with _name_is_free(name):
        run = Run.objects.create(
            id=run_id or new_id(), workspace=workspace, created_by=user, project=project, dataset=dataset, name=name,
            parameters=settings.model_dump(mode="json"), labels=dataset.labels, initial_weights=initial_weights,
            progress_total=settings.steps, progress_unit="steps", **at,
        )  # fmt: skip
        jobs.enqueue(run)
        if same_data_as is not None and same_data_as.manifest_sha256:
            _take_over_clips(run, same_data_as)
    return run


def _take_over_clips(run: Run, earlier: Run) -> None:
    """Let a run train on the very clips of an earlier one: its revision alone would add what was recorded since."""
    with default_storage.open(earlier.manifest_name) as manifest:
        default_storage.save(run.manifest_name, manifest)
    run.manifest_sha256 = earlier.manifest_sha256
    run.save(update_fields=["manifest_sha256"])


def rename_run(run: Run, name: str) -> None:
    """Give a run another name."""
    run.name = _run_name(run.project, name, but=run)
    with _name_is_free(run.name):
        run.save(update_fields=["name"])


def cancel_run(run: Run) -> None:
    """Stop a run, within two seconds. Its best weights so far are kept.

    Raises:
        Conflict: the run is over.
    """
    jobs.request_cancel(run)


def resume_run(run: Run) -> None:
    """Let a run that failed or was cancelled go on from its last checkpoint.

    Raises:
        Conflict: the run waits or runs, or has succeeded.
        QueueFull: too many runs wait already.
    """
    jobs.requeue(run)


def operating_point(parameters: Mapping[str, Any]) -> OperatingPoint:
    """Check an operating point.

    Raises:
        Invalid: says what is wrong, and why.
    """
    try:
        return OperatingPoint.model_validate(dict(parameters))
    except ValidationError as error:
        raise Invalid(explain(error, OperatingPoint)) from error


def set_operating_point(run: Run, parameters: Mapping[str, Any]) -> None:
    """Choose threshold and smoothing; what is left out stays as it is. Artifacts built from now on carry them.

    Raises:
        Invalid: a value is wrong.
        Conflict: nothing was measured for this run yet.
    """
    if not Detection.objects.filter(run=run).exists():
        raise Conflict(f"No operating points were measured for “{run.name}” yet.", "Let the run end first.")
    point = operating_point({**run.operating_point.model_dump(), **parameters})
    run.threshold, run.smoothing_ms = point.threshold, point.smoothing_ms
    run.save(update_fields=["threshold", "smoothing_ms"])


def delete_run(run: Run) -> None:
    """Delete a run with its curves, results, weights and artifacts.

    Raises:
        Conflict: the run is at work, or other runs began from its weights.
    """
    with transaction.atomic():
        # Locked: it may be resumed at this very moment.
        present = Run.objects.select_for_update().filter(pk=run.pk).first()
        if present is None:
            raise NotFound("run")
        if present.active:
            raise Conflict(f"“{run.name}” has not ended yet.", "Cancel it first.")
        heirs = [f"run “{name}”" for name in present.heirs.values_list("name", flat=True)]
        if heirs:
            raise Conflict(f"The weights of “{run.name}” are where {', '.join(heirs)} began.", "Delete these first.",
                           needed_by=heirs)  # fmt: skip
        present.delete()
        transaction.on_commit(partial(delete_folder, run.folder))


# --- the form ---------------------------------------------------------------------------------------------------------


def prefill_run(dataset: Dataset, network: Any = DEFAULT_NETWORK) -> dict[str, Any]:
    """Default parameters of a run on a dataset, with those that the network prefers."""
    chosen = network if isinstance(network, str) and network in NETWORKS else DEFAULT_NETWORK
    preferred = network.get("defaults") if isinstance(network, Mapping) else None
    defaults = RunParameters(network=chosen).model_dump(mode="json")
    defaults |= preferred if isinstance(preferred, Mapping) else NETWORKS[chosen].defaults
    rate = dataset.recipe.sample_rate
    defaults["sample_rate"] = rate
    edge = defaults["mel_upper_edge_hertz"]
    if isinstance(edge, int | float):  # what a custom network prefers is judged later, with everything else
        defaults["mel_upper_edge_hertz"] = min(edge, rate / 2)
    return defaults


def validated(dataset: Dataset, parameters: Mapping[str, Any]) -> RunParameters:
    """Check the parameters of a run on a dataset and fill in the defaults.

    Raises:
        Invalid: says which are wrong, and why.
    """
    defaults = prefill_run(dataset, parameters.get("network", DEFAULT_NETWORK))
    if "validation_interval" not in parameters:
        # A short run is validated too: the default must not exceed what the user chose.
        defaults["validation_interval"] = _at_most(parameters.get("steps"), defaults["validation_interval"])
    try:
        settings = RunParameters.model_validate(
            {**defaults, **parameters, "sample_rate": dataset.recipe.sample_rate}
        )  # fmt: skip
    except ValidationError as error:
        raise Invalid(explain(error, RunParameters)) from error
    if settings.preprocessing.num_frames(dataset.recipe.clip_samples) < 1:
        raise Invalid(
            {"window_size_ms": f"The window is longer than the dataset's clips ({dataset.recipe.clip_duration_ms} ms)."}
        )
    return settings


def revisions_for(dataset: Dataset, same_data_as: Run | None = None) -> Revisions:
    """Revisions of the data for a new run: the newest, or those of an earlier run."""
    if same_data_as is None:
        return newest_revisions(dataset)
    return {"revision": same_data_as.revision, "noise_revision": same_data_as.noise_revision}


def why_untrainable(dataset: Dataset, revision: int) -> dict[str, str]:
    """Say what a dataset lacks at a revision of its data, as the problem of a field; empty where it has all."""
    raw_data, chosen = dataset.raw_data, dataset.recipe
    if not raw_data.ready:
        return {"dataset": f"The import of “{raw_data}” has not ended well; “{dataset}” cannot be trained on."}
    counts = recipe.label_counts(DataRevision.of(dataset, revision), chosen)
    if lacking := _without(counts, Split.TRAIN):
        recorded = recipe.label_counts(DataRevision.of(dataset, 0), chosen)
        emptied = [label for label in lacking if label not in _without(recorded, Split.TRAIN)]
        if emptied:
            return {
                "dataset": f"All training clips of {', '.join(emptied)} in “{raw_data}” were excluded or relabelled. "
                f"Take some in again there, or choose another dataset."
            }
        return {"dataset": f"“{dataset}” has no training clips of {', '.join(lacking)}. Choose another dataset."}
    empty = [split for split in Split.values if len(_without(counts, split)) == len(counts)]
    if empty:
        return {
            "dataset": f"“{dataset}” has no {' and no '.join(empty)} clips. Make a dataset that is split by clip or "
            "by speaker."
        }
    return {}


def _without(counts: list[tuple[str, dict[str, int]]], split: str) -> list[str]:
    return [label for label, splits in counts if not splits[split]]


def _at_most(steps: Any, interval: int) -> int:
    try:
        return max(1, min(int(steps), interval))
    except (TypeError, ValueError, OverflowError):
        return interval


@dataclass(frozen=True)
class InitialWeights:
    """An earlier run as the beginning of a new one."""

    run: Run
    reason: str = ""
    """Why its weights do not fit; empty where they do."""
    kept: list[str] = field(default_factory=list)
    """Labels whose readout is taken over, as all else is."""
    new: list[str] = field(default_factory=list)
    """Labels whose readout begins anew."""

    @property
    def compatible(self) -> bool:
        """Whether its weights fit."""
        return not self.reason

    @property
    def keeps(self) -> str:
        """What is kept, in one sentence."""
        if not self.new:
            return "Everything is kept."
        return f"Everything is kept but the readout of {', '.join(self.new)}, which begins anew."


def initial_weights_choices(
    workspace: Workspace, dataset: Dataset, network: Any, parameters: Mapping[str, Any]
) -> list[InitialWeights]:
    """List earlier runs as initial weights, first those that fit.

    While the parameters are wrong nothing can be said about what fits: then all runs are listed as if they did.
    """
    try:
        wanted = validated(dataset, {**parameters, "network": network or parameters.get("network", DEFAULT_NETWORK)})
    except Invalid:
        wanted = None
    runs = Run.objects.filter(workspace=workspace).exclude(weights_sha256="").order_by("-created_at")
    choices = []
    for run in runs.select_related("project"):
        reason = _why_incompatible(run, wanted) if wanted else ""
        kept = [label for label in dataset.labels if label in run.labels]
        new = [label for label in dataset.labels if label not in run.labels]
        choices.append(InitialWeights(run, reason, kept, new))
    return sorted(choices, key=lambda choice: not choice.compatible)


def _why_incompatible(run: Run, settings: RunParameters) -> str:
    if run.active:
        return "the run has not ended yet."
    if not run.weights_sha256:
        return "the run has no weights."
    if different := _how_networks_differ(run.settings, settings):
        return different
    before, after = run.settings.preprocessing.model_dump(), settings.preprocessing.model_dump()
    changed = [RunParameters.model_fields[name].title or name for name in after if before[name] != after[name]]
    return f"its audio preprocessing differs in {', '.join(changed)}." if changed else ""


def _how_networks_differ(earlier: RunParameters, later: RunParameters) -> str:
    before, after = earlier.network_spec.stages, later.network_spec.stages
    if before == after:
        return ""
    if isinstance(earlier.network, str) and isinstance(later.network, str):
        return f"its network is {earlier.network}, not {later.network}."
    if len(before) != len(after):
        return f"its network has {len(before)} stages, not {len(after)}."
    changed = [str(number) for number, (one, other) in enumerate(zip(before, after, strict=True), 1) if one != other]
    return f"its network differs in stage {', '.join(changed)}."


def estimate(dataset: Dataset, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a network costs on a device, and how long its training will take where earlier runs tell."""
    settings = validated(dataset, parameters)
    cost = CostBreakdown.of(
        settings.network_spec,
        features=settings.preprocessing.num_features,
        labels=len(dataset.labels),
        window_stride_ms=settings.window_stride_ms,
    )
    return {
        "labels": dataset.labels,
        "cost": cost,
        "expected_seconds": _expected_seconds(dataset, settings),
    }


def _expected_seconds(dataset: Dataset, settings: RunParameters) -> float | None:
    """Estimate the time of a run by the longest earlier one of the same stages, batch size and clip duration.

    Only times are read from other workspaces' runs: they tell of this installation's machines.
    """
    alike = Run.objects.filter(
        _of_the_same_stages(settings.network_spec),
        parameters__batch_size=settings.batch_size,
        dataset__parameters__clip_duration_ms=dataset.recipe.clip_duration_ms,
        state=State.SUCCEEDED,
        attempt=1,
    )
    longest = alike.order_by("-progress_done", "-pk").first()
    if longest is None or longest.started_at is None or longest.finished_at is None:
        return None
    points = longest.metrics.filter(series=Series.TRAINING, steps_per_second__gt=0).order_by("-step")
    speeds = [point.steps_per_second or 0 for point in points[:POINTS_TO_ESTIMATE_FROM]]
    if not speeds:
        return None
    seconds, speed = (longest.finished_at - longest.started_at).total_seconds(), statistics.median(speeds)
    # What a run takes beside its steps: loading, compiling, judging.
    beside = max(0.0, seconds - longest.progress_done / speed)
    return beside + settings.steps / speed


def _of_the_same_stages(network: NetworkSpec) -> Q:
    """Find runs of a network, which they hold as its stages or by a name for the same stages."""
    names = [name for name, spec in NETWORKS.items() if spec.stages == network.stages]
    stages = [stage.model_dump() for stage in network.stages]
    return Q(parameters__network__in=names) | Q(parameters__network__stages=stages)


# --- names ------------------------------------------------------------------------------------------------------------


def _project_name(workspace: Workspace, name: str, but: Project | None = None) -> str:
    taken = Project.objects.filter(workspace=workspace, name=name.strip()).exclude(pk__in=[but.pk] if but else [])
    return _checked(name, is_taken=taken.exists())


def _run_name(project: Project, name: str, but: Run | None = None) -> str:
    taken = Run.objects.filter(project=project, name=name.strip()).exclude(pk__in=[but.pk] if but else [])
    return _checked(name, is_taken=taken.exists())


def _checked(name: str, *, is_taken: bool) -> str:
    name = name.strip()
    if not name:
        raise Invalid({"name": "Give it a name."})
    if len(name) > LONGEST_NAME:
        raise Invalid({"name": TOO_LONG})
    if is_taken:
        raise Invalid({"name": _taken(name)})
    return name


@contextmanager
def _name_is_free(name: str) -> Iterator[None]:
    """Tell of a name that somebody else took since it was checked."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "names_differ" not in str(error):
            raise
        raise Invalid({"name": _taken(name)}) from error


def _taken(name: str) -> str:
    return f"The name “{name}” is taken; choose another."
