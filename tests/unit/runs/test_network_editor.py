"""Any network survives the form: what it shows and posts is the network that went in."""

from __future__ import annotations

from typing import Any, get_args

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from edgewise.spec.network import (
    Activation,
    AnyStage,
    DenseStage,
    KerasLMUStage,
    LMUStage,
    NetworkSpec,
    RecurrentLMUStage,
    stage_width,
)
from edgewise.spec.run import RunParameters
from runs_app.forms import CUSTOM, NetworkEditor, RunForm

units = st.integers(1, 4096)
activations = st.sampled_from(get_args(Activation))
memories: dict[str, st.SearchStrategy[Any]] = {
    "order": st.integers(1, 64),
    "theta": st.floats(1, 4096),
    "units": units,
    "activation": activations,
}
projections, filters = st.integers(0, 4096), st.integers(0, 64)
dense_stages = st.builds(DenseStage, units=units, activation=activations)
recurrent_stages = st.builds(RecurrentLMUStage, **memories)
last_stages = (
    st.builds(KerasLMUStage, **memories)
    | st.builds(LMUStage, **memories, projection=projections, filters=filters)
    | recurrent_stages
)


@st.composite
def networks(draw: st.DrawFn) -> NetworkSpec:
    stages: list[AnyStage] = []
    for _ in range(draw(st.integers(0, 4))):
        residual = bool(stages) and draw(st.booleans())
        given = st.just(stage_width(stages[-1])) if residual else projections
        lmu = st.builds(
            LMUStage,
            **memories,
            projection=given,
            residual=st.just(residual),
            stride=st.integers(1, 16),
            filters=filters,
        )
        stages.append(draw(lmu if residual else lmu | dense_stages | recurrent_stages))
    return NetworkSpec(stages=[*stages, draw(last_stages)])


def posted(form: RunForm) -> QueryDict:
    """What a browser sends of the form's network."""
    query = QueryDict(mutable=True)
    query["network"] = form.network
    query["network.origin"] = form.editor.origin
    for stage in [*form.stages, *form.kept]:
        for field in stage.fields.values():
            if field.parameter.type != "boolean" or field.text == "true":
                query[field.parameter.name] = field.text
    return query


@given(networks())
def test_the_form_gives_back_the_network_that_it_shows(network: NetworkSpec) -> None:
    parameters = RunParameters(network=network).model_dump(mode="json")
    form = RunForm({}, parameters)
    assert form.network == CUSTOM
    read = NetworkEditor.read(posted(form))
    assert RunParameters.model_validate({"network": read.value}).network_spec.stages == network.stages
