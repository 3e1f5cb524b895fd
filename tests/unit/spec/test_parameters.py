"""Parameters: bounds, rules over several of them, and the sentences that people read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.fields import declared, explain
from edgewise.spec.network import NETWORKS
from edgewise.spec.recording import RecordingParameters
from edgewise.spec.run import AudioPreprocessing, RunParameters
from edgewise.spec.synthesis import SynthesisParameters


def sentences(model: type[BaseModel], **values: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        model(**values)
    return explain(caught.value, model)


@pytest.mark.parametrize("model", [DatasetParameters, RunParameters, SynthesisParameters, RecordingParameters])
def test_every_parameter_explains_itself(model: type[BaseModel]) -> None:
    for item in declared(model):
        assert item.help.endswith("."), item.name
        assert item.title, item.name
        assert item.group, item.name


@pytest.mark.parametrize("steps", [0, -1, 10**9, "many", 2.5, None])
def test_steps_out_of_bounds_say_what_is_allowed(steps: object) -> None:
    assert "from 1 to 1,000,000" in sentences(RunParameters, steps=steps)["steps"]


def test_a_rule_over_two_parameters_names_the_one_to_change() -> None:
    found = sentences(RunParameters, steps=100, validation_interval=500)
    assert "can be at most the number of steps (100)" in found["validation_interval"]


def test_unknown_parameters_are_refused() -> None:
    assert sentences(RunParameters, stepz=3) == {"stepz": "There is no parameter “stepz”."}


def test_mel_bands_must_fit_the_spectrum() -> None:
    assert "half the sample rate" in sentences(RunParameters, sample_rate=8000)["mel_upper_edge_hertz"]


def test_the_client_gets_its_eight_parameters_and_no_more() -> None:
    assert set(RunParameters().preprocessing.model_dump()) == {
        "window_size_ms",
        "window_stride_ms",
        "mel_num_bins",
        "dct_num_features",
        "sample_rate",
        "mel_lower_edge_hertz",
        "mel_upper_edge_hertz",
        "log_epsilon",
    }


def test_one_second_at_the_clients_defaults_has_49_frames() -> None:
    assert AudioPreprocessing().num_frames(16000) == 49


@given(st.integers(0, 200_000))
def test_frames_are_whole_windows(samples: int) -> None:
    features = AudioPreprocessing()
    frames = features.num_frames(samples)
    end = features.window_samples + (frames - 1) * features.stride_samples
    assert frames == 0 or end <= samples < end + features.stride_samples


def test_labels_come_in_the_order_of_the_outputs() -> None:
    recipe = DatasetParameters(keywords=["up", "down"])
    assert recipe.labels == ["<silence>", "<unknown>", "up", "down"]
    without = DatasetParameters(keywords=["up"], silence_percentage=0, unknown_percentage=0)
    assert without.labels == ["up"]


@pytest.mark.parametrize("keywords", [[], ["up", "up"], ["<silence>"], [f"word{i}" for i in range(101)]])
def test_keywords_that_make_no_dataset(keywords: list[str]) -> None:
    assert "keywords" in sentences(DatasetParameters, keywords=keywords)


@pytest.mark.parametrize(("name", "budget"), [("kws-small", 25_000), ("kws-medium", 100_000), ("kws-large", 700_000)])
def test_networks_keep_their_budget(name: str, budget: int) -> None:
    spec = NETWORKS[name]
    features = RunParameters(network=name, **spec.defaults).num_features
    assert spec.cost(features, 12, 50).int8_bytes <= budget


def test_several_choices_of_one_parameter_are_a_list() -> None:
    items = {item.name: item for item in declared(SynthesisParameters)}
    assert items["accents"].type == "list"
    assert set(items["accents"].choices) == set(SynthesisParameters(keywords=["up"]).accents)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"keywords": []}, "keywords", "give at least 1"),
        ({"keywords": ["a b", "A  B"]}, "keywords", "a_b: give each word once"),
        ({"slowest": 300}, "fastest", "cannot be slower than the slowest"),
        ({"near_misses": ["up"]}, "near_misses", "both a keyword and a near miss"),
    ],
)
def test_a_synthesis_says_what_is_wrong_with_it(change: dict[str, Any], field: str, message: str) -> None:
    errors = sentences(SynthesisParameters, **{"keywords": ["up"], **change})
    assert list(errors) == [field]
    assert message in errors[field]
