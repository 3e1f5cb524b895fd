"""What the form of a run holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.fields import declared
from edgewise.spec.network import NETWORKS, STAGE_KINDS, LMUStage, NetworkSpec
from edgewise.spec.run import AUGMENTATION, PREPROCESSING, TRAINING, RunParameters, TrainingParameters
from edgewise.web.forms import BoundParameter, Group, ParameterForm, read
from runs_app.costs import CostBreakdown, StageCosts
from runs_app.models import Detection
from runs_app.services import DEFAULT_NETWORK

CUSTOM = "custom"
GROUPS = (TRAINING, PREPROCESSING, AUGMENTATION)
# The network has a place of its own in the form, and the sample rate follows from the dataset.
APART = ("network", "sample_rate")
NOT_HEARD = {*APART, *TrainingParameters.model_fields}

STAGES = "network.stages."
KIND_OF_STAGE = re.compile(rf"{re.escape(STAGES)}(\d{{1,3}})\.kind")
KIND_TITLES = {kind: declared(model)[0].choices[kind] for kind, model in STAGE_KINDS.items()}

Stage = Mapping[str, Any]


@dataclass(frozen=True)
class NetworkEditor:
    """The network in the form of a run: which one is chosen, and the stages of a custom one while it is edited."""

    chosen: str
    """Name of a network, or `CUSTOM`."""
    origin: str = DEFAULT_NETWORK
    """The named network that a custom one begins with; what it prefers stays the default."""
    custom: Sequence[Stage] = ()
    """Stages of the custom network as they were typed. They are kept while a named network is looked at."""
    focus: str = ""
    """The field or the command whose control the keyboard goes on from after a change."""

    @classmethod
    def of(cls, network: Any) -> NetworkEditor:
        """Begin with the network of a run."""
        if isinstance(network, str):
            return cls(network, network if network in NETWORKS else DEFAULT_NETWORK)
        origins = [name for name, spec in NETWORKS.items() if spec.defaults == network.get("defaults")]
        return cls(CUSTOM, next(iter(origins), DEFAULT_NETWORK), network["stages"])

    @classmethod
    def read(cls, posted: QueryDict) -> NetworkEditor:
        """Take the network from a posted form, as it was typed, and make the change that a button asks for."""
        origin = posted.get("network.origin", "")
        indices = sorted(int(found[1]) for name in posted if (found := KIND_OF_STAGE.fullmatch(name)))
        stages = [_read_stage(posted, f"{STAGES}{index}.") for index in indices]
        editor = cls(posted.get("network", ""), origin if origin in NETWORKS else DEFAULT_NETWORK, stages)
        if editor.chosen == CUSTOM and not stages:
            editor = editor.begun_with(editor.origin)
        elif editor.chosen in NETWORKS and not stages:
            editor = replace(editor, origin=editor.chosen)
        return editor.changed(posted.get("change", "")) if "change" in posted else editor

    @property
    def value(self) -> str | dict[str, Any]:
        """The network as the parameters of a run hold it."""
        if self.chosen != CUSTOM:
            return self.chosen
        return {"stages": list(self.custom), "defaults": NETWORKS[self.origin].defaults}

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages to show."""
        return self.custom if self.chosen == CUSTOM else _stages_of(self.chosen)

    @property
    def drawn(self) -> str:
        """What the page shows: as long as it stays the same, fields need not be drawn anew."""
        return " ".join([self.chosen, *(str(stage.get("kind")) for stage in self.stages)])

    def begun_with(self, name: str) -> NetworkEditor:
        """Begin a custom network with the stages of a named one."""
        return NetworkEditor(CUSTOM, name, _stages_of(name))

    def changed(self, command: str) -> NetworkEditor:
        """Do what a button says: `start kws-small`, `add`, `remove 2`, `up 2`, `down 2`; others change nothing."""
        verb, _, argument = command.partition(" ")
        if verb == "start" and argument in NETWORKS:
            return replace(self.begun_with(argument), focus=f"{STAGES}0.kind")
        stages = list(self.custom)
        if verb == "add":
            return replace(self, custom=[*stages, LMUStage().model_dump()], focus=f"{STAGES}{len(stages)}.kind")
        index = int(argument) if argument.isdecimal() else len(stages)
        if index >= len(stages):
            return self
        if verb == "remove" and len(stages) > 1:
            del stages[index]
            return replace(self, custom=stages, focus=f"remove {min(index, len(stages) - 1)}")
        other = index + {"up": -1, "down": 1}.get(verb, 0)
        if other not in range(len(stages)):
            return self
        stages[index], stages[other] = stages[other], stages[index]
        # At either end there is only one way to go on.
        onward = "down" if other == 0 else "up" if other == len(stages) - 1 else verb
        return replace(self, custom=stages, focus=f"{onward} {other}")


@dataclass(frozen=True)
class Button:
    """What can be done to a stage."""

    command: str
    title: str
    icon: str
    possible: bool


class StageForm(ParameterForm):
    """The fields of one stage; its kind may be any."""

    def __init__(
        self, index: int, last: int, stage: Stage, errors: Mapping[str, str], costs: StageCosts | None
    ) -> None:
        super().__init__(_model_of(stage), stage, errors=errors, prefix=f"{STAGES}{index}.")
        self.index, self.costs = index, costs
        self.buttons = [
            Button(f"up {index}", "Move up", "up", index > 0),
            Button(f"down {index}", "Move down", "down", index < last),
            Button(f"remove {index}", "Remove", "close", last > 0),
        ]
        kind = self.fields["kind"]
        self.fields["kind"] = replace(kind, parameter=replace(kind.parameter, choices=KIND_TITLES))

    @property
    def title(self) -> str:
        """What kind of stage it is."""
        kind = self.fields["kind"].text
        return KIND_TITLES.get(kind, kind)

    @property
    def settings(self) -> list[BoundParameter]:
        """The fields beside the kind."""
        return [item for name, item in self.fields.items() if name != "kind"]

    @property
    def in_use(self) -> list[BoundParameter]:
        """The fields beside the kind that do something: 0 and off leave a part of the stage out."""
        return [item for item in self.settings if item.value]


class RunForm(ParameterForm):
    """The parameters of a run, with its network."""

    def __init__(
        self,
        defaults: Mapping[str, Any],
        values: Mapping[str, Any],
        errors: Mapping[str, str] | None = None,
        *,
        editor: NetworkEditor | None = None,
        cost: CostBreakdown | None = None,
    ) -> None:
        super().__init__(RunParameters, values, defaults=defaults, errors=errors, without=APART)
        self.editor = editor or NetworkEditor.of(values.get("network") or defaults["network"])
        self.network = self.editor.chosen
        self.cost = cost
        self.errors = dict(errors or {})
        self.stages = self._stage_forms(self.editor.stages, cost.stages if cost else [])
        # Fields of a custom network that travel unseen while a named one is looked at.
        self.kept = [] if self.network == CUSTOM else self._stage_forms(self.editor.custom, [])

    def _stage_forms(self, stages: Sequence[Stage], costs: Sequence[StageCosts]) -> list[StageForm]:
        told: list[StageCosts | None] = [*costs] or [None] * len(stages)
        return [
            StageForm(index, len(stages) - 1, stage, self.errors, costs)
            for index, (stage, costs) in enumerate(zip(stages, told, strict=True))
        ]

    def groups(self) -> Iterator[Group]:
        """Yield the groups in the order of the page."""
        by_title = {group.title: group for group in super().groups()}
        yield from (by_title[title] for title in GROUPS)

    @property
    def editable(self) -> bool:
        """Whether the stages can be changed: those of a named network are only looked at."""
        return self.network == CUSTOM

    @property
    def networks(self) -> list[tuple[str, NetworkSpec]]:
        """Networks to choose from, by name."""
        return list(NETWORKS.items())


def read_run(posted: QueryDict, editor: NetworkEditor) -> dict[str, Any]:
    """Take the parameters of a run from a posted form, as they were typed; `editor` read the network."""
    return {**read(RunParameters, posted, without=APART), "network": editor.value}


def examples_form(
    defaults: Mapping[str, Any], values: Mapping[str, Any], errors: Mapping[str, str] | None = None
) -> ParameterForm:
    """What is done to the clips before a network hears them."""
    return ParameterForm(RunParameters, values, defaults=defaults, errors=errors, without=NOT_HEARD)


def read_examples(posted: QueryDict) -> dict[str, Any]:
    """Take what is done to the clips from a posted form, as it was typed."""
    return read(RunParameters, posted, without=NOT_HEARD)


def operating_point_form(
    found: Detection, values: Mapping[str, Any], errors: Mapping[str, str] | None = None
) -> ParameterForm:
    """The operating point; what the measurement suggests is its default."""
    return ParameterForm(OperatingPoint, values, defaults=found.suggestion, errors=errors)


def _read_stage(posted: QueryDict, prefix: str) -> Stage:
    return read(_model_of({"kind": posted[f"{prefix}kind"]}), posted, prefix=prefix)


def _model_of(stage: Stage) -> Any:
    """The model of a stage's kind; a kind that does not exist is refused by the service and shown as the first."""
    return STAGE_KINDS.get(stage.get("kind", ""), next(iter(STAGE_KINDS.values())))


def _stages_of(name: str) -> list[Stage]:
    return [stage.model_dump() for stage in NETWORKS[name].stages] if name in NETWORKS else []
