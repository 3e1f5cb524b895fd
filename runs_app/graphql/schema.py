"""Types, queries and mutations, by the names that the client asks for (docs/graphql.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from enum import Enum
from typing import Annotated, Any

import strawberry
from django.db.models import QuerySet
from graphql import DirectiveLocation, GraphQLDirective
from pydantic.alias_generators import to_camel
from strawberry.extensions import MaxAliasesLimiter, MaxTokensLimiter, QueryDepthLimiter
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

from datasets_app import queries as data
from datasets_app.models import Dataset as DatasetRow
from edgewise.errors import Invalid
from edgewise.jobs.models import State
from edgewise.lookup import one
from edgewise.spec.fields import declared
from edgewise.spec.network import NETWORKS
from edgewise.spec.run import RunParameters
from runs_app import drafts, queries
from runs_app.graphql.errors import ErrorsForPeople
from runs_app.graphql.object_ids import SCALAR, ObjectId, object_id, with_object_id
from runs_app.graphql.views import Caller
from runs_app.models import Evaluation, RunDraft
from runs_app.models import Project as ProjectRow
from runs_app.models import Run as RunRow

HARDWARE = ("gpu", "cpu", "coral", "disco", "nordic")
"""What the client may name. Networks are trained alike for all: what an artifact is for is chosen when it is built."""

CHOSEN_OTHERWISE = ("network", "sample_rate")
"""Parameters that follow from `networkId` and from the dataset."""

HYPERPARAMS = {to_camel(item.name): item.name for item in declared(RunParameters) if item.name not in CHOSEN_OTHERWISE}
"""Names in the client's style, and those of `edgewise.spec.run`."""

Id = Annotated[ObjectId, strawberry.argument(name="_id")]
Context = Info[Caller, None]


# --- types ------------------------------------------------------------------------------------------------------------


@strawberry.enum
class ModelType(Enum):
    """What a network is trained for."""

    KWS = "KWS"


@strawberry.enum
class RunStatus(Enum):
    """Where a run stands."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"


STATUS = {
    State.QUEUED: RunStatus.QUEUED,
    State.INTERRUPTED: RunStatus.QUEUED,
    State.RUNNING: RunStatus.RUNNING,
    State.SUCCEEDED: RunStatus.COMPLETED,
    State.FAILED: RunStatus.ERROR,
    State.CANCELLED: RunStatus.CANCELLED,
}


@strawberry.enum
class ResultCategory(Enum):
    """What a result is about: whole clips of the test split, or words found in long audio."""

    CLASSIFICATION = "CLASSIFICATION"
    DETECTION = "DETECTION"


@strawberry.type
class Project:
    """A heading under which runs stand together."""

    id: ObjectId = strawberry.field(name="_id")
    name: str


@strawberry.type
class Dataset:
    """What a run can be trained on."""

    id: ObjectId = strawberry.field(name="_id")
    name: str


@strawberry.type
class BaseData:
    """Raw data, and the datasets that were made of it."""

    id: ObjectId = strawberry.field(name="_id")
    name: str
    datasets: list[Dataset]


@strawberry.type
class Network:
    """A network that can be trained by its name, which is its id, too."""

    id: strawberry.ID = strawberry.field(name="_id")
    name: str


@strawberry.type
class Result:
    """A number that says how good a run is."""

    category: ResultCategory
    name: str
    value: float


@strawberry.type
class Run:
    """A run, or the draft of one."""

    id: ObjectId = strawberry.field(name="_id")
    name: str
    status: RunStatus
    row: strawberry.Private[RunRow | RunDraft]

    @strawberry.field
    def results(self) -> list[Result]:
        """What was measured at its end; nothing before."""
        return list(_results(self.row)) if isinstance(self.row, RunRow) else []

    @classmethod
    def of(cls, row: RunRow | RunDraft) -> Run:
        """Show a row."""
        status = STATUS[State(row.state)] if isinstance(row, RunRow) else RunStatus.CREATED
        return cls(id=object_id(row), name=row.name, status=status, row=row)


def _results(run: RunRow) -> Iterator[Result]:
    found = Evaluation.objects.filter(run=run).first()
    if found is not None:
        yield Result(category=ResultCategory.CLASSIFICATION, name="accuracy", value=100 * found.accuracy)
        yield Result(
            category=ResultCategory.CLASSIFICATION, name="balancedAccuracy", value=100 * found.balanced_accuracy
        )
        yield Result(category=ResultCategory.CLASSIFICATION, name="loss", value=found.loss)
    errors = queries.errors(run)
    if errors is not None:
        yield Result(category=ResultCategory.DETECTION, name="falseAcceptsPerHour", value=errors.false_accepts_per_hour)
        yield Result(category=ResultCategory.DETECTION, name="missedKeywords", value=100 * errors.missed)


@strawberry.input
class RunInput:
    """What a run shall be; what is left out stays as it is."""

    hyperparams: JSON | None = None
    hardware_id: str | None = None
    dataset_id: ObjectId | None = None
    network_id: strawberry.ID | None = None
    name: str | None = None


# --- queries ----------------------------------------------------------------------------------------------------------


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def projects(self, info: Context) -> list[Project]:
        """The workspace's projects, newest first."""
        rows = ProjectRow.objects.filter(workspace=info.context.workspace).order_by("-created_at")
        return [Project(id=object_id(row), name=row.name) for row in rows]

    @strawberry.field
    def base_data(self, info: Context, model_type: ModelType | None = None) -> list[BaseData]:
        """Raw data that the workspace sees, each with the workspace's datasets."""
        return [
            BaseData(
                id=object_id(row),
                name=row.name,
                datasets=[Dataset(id=object_id(dataset), name=dataset.name) for dataset in row.mine],  # type: ignore[attr-defined]
            )
            for row in data.dataset_list(info.context.workspace)
        ]

    @strawberry.field
    def networks(self, model_type: ModelType) -> list[Network]:
        """The networks that can be trained by name."""
        return [Network(id=strawberry.ID(name), name=spec.title) for name, spec in NETWORKS.items()]

    @strawberry.field
    def run(self, info: Context, identifier: Id) -> Run:
        """A run, started or not."""
        return Run.of(_started_or_not(info.context, identifier))


# --- mutations --------------------------------------------------------------------------------------------------------


@strawberry.type
class Mutation:
    """What can be changed: a run is begun, given its parameters, and started."""

    @strawberry.mutation
    def add_run(self, info: Context, project: ObjectId, model_type: ModelType) -> Run:
        """Begin a run."""
        caller = info.context
        caller.require_write()
        row = one(with_object_id(ProjectRow.objects.filter(workspace=caller.workspace), project), "project")
        return Run.of(drafts.create_draft(workspace=caller.workspace, user=caller.user, project=row))

    @strawberry.mutation
    def update_run(self, info: Context, run: ObjectId, updates: RunInput) -> Run:
        """Say what a run shall be, before it is started."""
        caller = info.context
        caller.require_write()
        draft = _draft(caller, run)
        datasets = DatasetRow.objects.filter(workspace=caller.workspace)
        dataset = one(with_object_id(datasets, updates.dataset_id), "dataset") if updates.dataset_id else None
        return Run.of(drafts.update_draft(draft, parameters=_parameters(updates), dataset=dataset, name=updates.name))

    @strawberry.mutation
    def start_optimize(self, info: Context, run: ObjectId) -> Run:
        """Check a run and queue it."""
        caller = info.context
        caller.require_write()
        return Run.of(drafts.start(_draft(caller, run), caller.user))


def _started_or_not(caller: Caller, identifier: ObjectId) -> RunRow | RunDraft:
    drafts_here: QuerySet[RunDraft] = RunDraft.objects.filter(workspace=caller.workspace)
    draft = with_object_id(drafts_here, identifier).first()
    return draft or one(with_object_id(RunRow.objects.filter(workspace=caller.workspace), identifier), "run")


def _draft(caller: Caller, identifier: ObjectId) -> RunDraft:
    row = _started_or_not(caller, identifier)
    if isinstance(row, RunRow):
        raise drafts.already_started(row.name)
    return row


def _parameters(updates: RunInput) -> dict[str, Any]:
    """Translate what the client sends into parameters of a run.

    Raises:
        Invalid: there is no such parameter, network or hardware.
    """
    given: object = {} if updates.hyperparams is None else updates.hyperparams
    if not isinstance(given, Mapping):
        raise Invalid({"hyperparams": '`hyperparams` must be an object: {"steps": 2000}.'})
    if unknown := [name for name in given if name not in HYPERPARAMS]:
        reason = f"There is no hyperparameter {', '.join(unknown)}. Those that there are: {', '.join(HYPERPARAMS)}."
        raise Invalid({"hyperparams": reason})
    if updates.hardware_id not in (None, *HARDWARE):
        reason = f"There is no hardware “{updates.hardware_id}” here. Choose one of {', '.join(HARDWARE)}."
        raise Invalid({"hardware_id": reason})
    if updates.network_id not in (None, *NETWORKS):
        reason = f"There is no network “{updates.network_id}”. Choose one of {', '.join(NETWORKS)}."
        raise Invalid({"network_id": reason})
    network = {} if updates.network_id is None else {"network": str(updates.network_id)}
    return {HYPERPARAMS[name]: value for name, value in given.items()} | network


def _let_older_clients_read(directives: Iterable[GraphQLDirective]) -> Iterator[GraphQLDirective]:
    """Leave out the one place of directives that graphql-core knows since 3.3.

    Clients with an earlier one (gql 3.5, of the time of the original) refuse a schema that names it. Nothing stands
    there: it is the definitions of directives, which this schema has none of.
    """
    for directive in directives:
        readable = copy(directive)
        readable.locations = tuple(
            place for place in directive.locations if place is not DirectiveLocation.DIRECTIVE_DEFINITION
        )
        yield readable


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(scalar_map={ObjectId: SCALAR}),
    extensions=[
        ErrorsForPeople,
        lambda: MaxTokensLimiter(max_token_count=400),
        lambda: QueryDepthLimiter(max_depth=5),
        lambda: MaxAliasesLimiter(max_alias_count=10),
    ],
)
schema._schema.directives = tuple(_let_older_clients_read(schema._schema.directives))
