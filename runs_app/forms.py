"""What the form of a run holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import QueryDict

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.network import NETWORKS, NetworkSpec
from edgewise.spec.run import AUGMENTATION, PREPROCESSING, TRAINING, RunParameters
from edgewise.web.forms import Group, ParameterForm, read
from runs_app.models import Detection

CUSTOM = "custom"
GROUPS = (TRAINING, PREPROCESSING, AUGMENTATION)
# The network has a place of its own in the form, and the sample rate follows from the dataset.
APART = ("network", "sample_rate")


class RunForm(ParameterForm):
    """The parameters of a run, with its network."""

    def __init__(
        self, defaults: Mapping[str, Any], values: Mapping[str, Any], errors: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(RunParameters, values, defaults=defaults, errors=errors, without=APART)
        network = values.get("network", defaults.get("network"))
        self.network = network if isinstance(network, str) else CUSTOM
        self.network_error = (errors or {}).get("network", "")
        self.stages = _stages_text(network)

    def groups(self) -> Iterator[Group]:
        """Yield the groups in the order of the page."""
        by_title = {group.title: group for group in super().groups()}
        yield from (by_title[title] for title in GROUPS)

    @property
    def networks(self) -> list[tuple[str, NetworkSpec]]:
        """Networks to choose from, by name."""
        return list(NETWORKS.items())


def read_run(posted: QueryDict) -> dict[str, Any]:
    """Take the parameters of a run from a posted form, as they were typed."""
    values = read(RunParameters, posted, without=APART)
    network = posted.get("network", "")
    if network != CUSTOM:
        return {**values, "network": network}
    text = posted.get("stages", "")
    try:
        return {**values, "network": {"stages": json.loads(text)}}
    except json.JSONDecodeError as error:
        # The text goes on as it is: the model says that it is no list of stages, and the form shows it again.
        return {**values, "network": {"stages": f"{text} (line {error.lineno}: {error.msg})"}}


def operating_point_form(
    found: Detection, values: Mapping[str, Any], errors: Mapping[str, str] | None = None
) -> ParameterForm:
    """The operating point; what the measurement suggests is its default."""
    return ParameterForm(OperatingPoint, values, defaults=found.suggestion, errors=errors)


def _stages_text(network: Any) -> str:
    """Stages as JSON, one on each line: those of the named network are where to start from."""
    if isinstance(network, dict):
        stages = network.get("stages", [])
    elif isinstance(network, NetworkSpec):
        stages = [stage.model_dump() for stage in network.stages]
    else:
        spec = NETWORKS.get(str(network), NETWORKS["kws-small"])
        stages = [stage.model_dump() for stage in spec.stages]
    if not isinstance(stages, list):
        return str(stages)
    return "[\n" + ",\n".join(f"  {json.dumps(stage)}" for stage in stages) + "\n]"
