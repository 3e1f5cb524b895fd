"""Stages of networks: each field explains itself, and each mistake is told where it was made."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from edgewise.spec.fields import declared, explain
from edgewise.spec.network import NETWORKS, STAGE_KINDS, LMUStage, NetworkCost
from edgewise.spec.run import RunParameters

MEMORY = {"kind": "lmu"}


def sentences(network: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        RunParameters.model_validate({"network": network})
    return explain(caught.value, RunParameters)


@pytest.mark.parametrize("model", STAGE_KINDS.values())
def test_every_field_of_a_stage_explains_itself(model: type[BaseModel]) -> None:
    assert [item.name for item in declared(model)] == list(model.model_fields)
    for item in declared(model):
        assert item.help.endswith("."), item.name
        assert item.type != "integer" or None not in (item.minimum, item.maximum), item.name


def test_a_stage_begins_with_its_defaults() -> None:
    for kind in STAGE_KINDS:
        RunParameters.model_validate({"network": {"stages": [{"kind": kind}, *([MEMORY] if kind == "dense" else [])]}})


def test_all_mistakes_in_fields_are_told_at_once() -> None:
    stages = [{"kind": "dense", "units": 0}, {"kind": "lmu", "order": "many", "activation": "tanh", "depth": 3}]
    assert sentences({"stages": stages}) == {
        "network.stages.0.units": "Units must be a whole number from 1 to 4,096; 0 is not.",
        "network.stages.1.order": "Order must be a whole number from 1 to 64; 'many' is not.",
        "network.stages.1.activation": (
            "Activation must be one of linear, relu, sigmoid, softmax, swish; 'tanh' is not."
        ),
        "network.stages.1.depth": "There is no parameter “depth”.",
    }


@pytest.mark.parametrize(
    ("stages", "field", "sentence"),
    [
        ([{"kind": "conv"}], "0.kind", "one of dense, lmu, lmu-recurrent, keras-lmu"),
        ([{"units": 3}], "0.kind", "Kind is missing"),
        ([{"kind": "dense"}], "0.kind", "last stage must be an LMU"),
        ([{**MEMORY, "stride": 2}], "0.stride", "no stride"),
        ([MEMORY, {**MEMORY, "residual": True}], "1.residual", "no residual"),
        ([{**MEMORY, "residual": True}, MEMORY], "0.residual", "first stage"),
        ([{"kind": "keras-lmu"}, MEMORY], "0.kind", "only be the last"),
        ([{"kind": "dense", "units": 8}, {**MEMORY, "residual": True}, MEMORY], "1.residual", "units to 8"),
    ],
)
def test_a_rule_names_the_field_to_change(stages: list[Any], field: str, sentence: str) -> None:
    found = sentences({"stages": stages})
    assert list(found) == [f"network.stages.{field}"]
    assert sentence in found[f"network.stages.{field}"]


@pytest.mark.parametrize(
    ("network", "field"), [(3, "network"), ({}, "network.stages"), ({"stages": []}, "network.stages")]
)
def test_what_is_no_network_is_told(network: object, field: str) -> None:
    assert list(sentences(network)) == [field]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parts_add_up_to_the_whole(name: str) -> None:
    spec = NETWORKS[name]
    parts = [NetworkCost.of([part], 50) for part in spec.costs(40, 12)]
    assert len(parts) == len(spec.stages) + 2
    whole = spec.cost(40, 12, 50)
    assert sum(part.parameters for part in parts) == whole.parameters
    assert sum(part.macs_per_second for part in parts) == pytest.approx(whole.macs_per_second)
    assert sum(part.state_bytes for part in parts) == whole.state_bytes
    assert sum(part.int8_bytes for part in parts) == whole.int8_bytes


def test_strides_multiply_the_periods_of_what_follows() -> None:
    spec = RunParameters(network={"stages": [LMUStage(stride=2), LMUStage(stride=3), LMUStage()]}).network_spec
    assert spec.periods() == [1, 2, 6, 6]
