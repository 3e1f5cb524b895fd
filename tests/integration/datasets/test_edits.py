"""Edits of clips: they follow one another, can be undone, and never change what an earlier revision held."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets_app import edits, recipe, services
from datasets_app.models import Clip, ClipEdit, RawData
from datasets_app.revisions import DataRevision, newest_revision
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from edgewise.errors import Conflict, Invalid, NotFound
from edgewise.spec.dataset import DatasetParameters
from tests.integration.datasets.conftest import SPLITS, make_clips

pytestmark = pytest.mark.django_db
Edit = Callable[..., ClipEdit]


@pytest.fixture
def raw_data(alice: User) -> RawData:
    rows: list[dict[str, Any]] = [
        {"name": f"{word}/{n}.wav", "label": word, "split": SPLITS[n % 10], "speaker": f"s{n % 5}"}
        for word in ("up", "down", "left")
        for n in range(20)
    ]
    rows.append({"name": "hum.wav", "label": "_background_noise_", "kind": "noise", "split": "train"})
    return make_clips(alice, rows)


@pytest.fixture
def edit(alice: User, workspace: Workspace, raw_data: RawData) -> Edit:
    """Edit clips by name: `edit(edits.exclude_clips, "up/0.wav")`."""

    def edit(service: Callable[..., ClipEdit], *names: str, **more: Any) -> ClipEdit:
        clips = list(Clip.objects.filter(raw_data=raw_data, name__in=names).values_list("pk", flat=True))
        return service(workspace=workspace, user=alice, raw_data=raw_data, clips=clips, **more)

    return edit


def states(raw_data: RawData, workspace: Workspace, revision: int | None = None) -> dict[str, tuple[str, bool]]:
    clips = DataRevision(raw_data, workspace, revision).clips()
    return {name: (label, out) for name, label, out in clips.values_list("name", "effective_label", "excluded")}


def counts(raw_data: RawData, workspace: Workspace, revision: int | None = None) -> dict[str, int]:
    found = DataRevision(raw_data, workspace, revision).label_counts()
    return {label: sum(splits.values()) for label, splits in found.items()}


# --- the log ----------------------------------------------------------------------------------------------------------


def test_excluded_clips_come_back(edit: Edit, raw_data: RawData, workspace: Workspace) -> None:
    edit(edits.exclude_clips, "up/0.wav", "up/1.wav", reason="cut off")
    assert states(raw_data, workspace)["up/0.wav"] == ("up", True)
    assert counts(raw_data, workspace) == {"down": 20, "left": 20, "up": 18}
    edit(edits.include_clips, "up/0.wav")
    assert states(raw_data, workspace)["up/0.wav"] == ("up", False)
    assert counts(raw_data, workspace)["up"] == 19


def test_relabelled_clips_move_to_a_word_that_may_be_new(
    edit: Edit, raw_data: RawData, workspace: Workspace
) -> None:  # fmt: skip
    edit(edits.relabel_clips, "up/0.wav", label=" down ")
    edit(edits.relabel_clips, "up/1.wav", label="upwards")
    assert counts(raw_data, workspace) == {"down": 21, "left": 20, "up": 18, "upwards": 1}
    assert Clip.objects.get(name="up/0.wav").label == "up"


def test_a_word_whose_clips_are_all_gone_is_no_label(edit: Edit, raw_data: RawData, workspace: Workspace) -> None:
    edit(edits.exclude_clips, *[f"up/{n}.wav" for n in range(20)])
    assert "up" not in counts(raw_data, workspace)


def test_undo_leaves_what_came_after(edit: Edit, alice: User, raw_data: RawData, workspace: Workspace) -> None:
    first = edit(edits.relabel_clips, "up/0.wav", "up/1.wav", label="down")
    edit(edits.relabel_clips, "up/1.wav", label="left")
    edits.undo_edit(edit=first, user=alice)
    assert states(raw_data, workspace)["up/0.wav"] == ("up", False)
    assert states(raw_data, workspace)["up/1.wav"] == ("left", False)


def test_an_undo_can_be_undone(edit: Edit, alice: User, raw_data: RawData, workspace: Workspace) -> None:
    undo = edits.undo_edit(edit=edit(edits.exclude_clips, "up/0.wav"), user=alice)
    assert not states(raw_data, workspace)["up/0.wav"][1]
    edits.undo_edit(edit=undo, user=alice)
    assert states(raw_data, workspace)["up/0.wav"][1]


def test_the_history_says_who_did_what(edit: Edit, alice: User, raw_data: RawData, workspace: Workspace) -> None:
    first = edit(edits.exclude_clips, "up/0.wav", "up/1.wav", reason=" cut off ")
    edits.undo_edit(edit=first, user=alice)
    log = ClipEdit.objects.filter(raw_data=raw_data).order_by("revision")
    assert [(row.revision, row.action, row.clip_count, row.reason) for row in log] == [
        (1, "exclude", 2, "cut off"),
        (2, "undo", 2, ""),
    ]
    assert {row.created_by for row in log} == {alice}
    assert newest_revision(workspace, raw_data) == 2


def test_shared_data_is_edited_for_one_workspace_alone(
    edit: Edit, bob: User, raw_data: RawData, workspace: Workspace
) -> None:
    RawData.objects.filter(pk=raw_data.pk).update(shared=True)
    edit(edits.exclude_clips, "up/0.wav")
    others = give_personal_workspace(bob)
    assert counts(raw_data, others)["up"] == 20
    clips = list(Clip.objects.filter(name="up/0.wav").values_list("pk", flat=True))
    first = edits.relabel_clips(workspace=others, user=bob, raw_data=raw_data, clips=clips, label="left")
    assert first.revision == 1
    assert states(raw_data, workspace)["up/0.wav"] == ("up", True)
    assert states(raw_data, others)["up/0.wav"] == ("left", False)


LABELS = ("up", "down", "new")
EDITS = st.one_of(
    st.tuples(st.sampled_from(["exclude", "include", *LABELS]), st.sets(st.integers(0, 3), min_size=1)),
    st.tuples(st.just("undo"), st.integers(0, 20)),
)


def replayed(log: list[tuple[str, Any]], revision: int) -> dict[int, tuple[str, bool]]:
    """What a revision holds, by the plainest reading of the log."""

    def holds(place: int) -> bool:
        return not any(log[later] == ("undo", place) and holds(later) for later in range(place + 1, revision))

    state = {clip: (LABELS[clip % 2], False) for clip in range(4)}
    for place, (action, clips) in enumerate(log[:revision]):
        if action == "undo" or not holds(place):
            continue
        for clip in clips:
            label, out = state[clip]
            state[clip] = (action, out) if action in LABELS else (label, action == "exclude")
    return state


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(EDITS, max_size=12))
def test_every_revision_is_what_a_replay_of_the_log_gives(alice: User, wanted: list[tuple[str, Any]]) -> None:
    rows = [{"name": str(n), "label": LABELS[n % 2], "split": "train"} for n in range(4)]
    raw_data = make_clips(alice, rows, name=str(uuid.uuid4()))
    workspace = raw_data.workspace
    ids = {int(name): pk for name, pk in raw_data.clips.values_list("name", "pk")}
    common = {"workspace": workspace, "user": alice, "raw_data": raw_data}
    log: list[tuple[str, Any]] = []
    made: list[ClipEdit] = []
    seen = [states(raw_data, workspace)]
    for action, target in wanted:
        if action == "undo":
            if not log or ("undo", target % len(log)) in log:
                continue
            target %= len(log)
            made.append(edits.undo_edit(edit=made[target], user=alice))
        else:
            clips = [ids[number] for number in target]
            if action in LABELS:
                made.append(edits.relabel_clips(**common, clips=clips, label=action))
            else:
                service = edits.exclude_clips if action == "exclude" else edits.include_clips
                made.append(service(**common, clips=clips))
        log.append((action, target))
        seen.append(states(raw_data, workspace))
    for revision, then in enumerate(seen):
        expected = {str(clip): state for clip, state in replayed(log, revision).items()}
        assert then == states(raw_data, workspace, revision) == expected
        kept = Counter(label for label, out in expected.values() if not out)
        assert counts(raw_data, workspace, revision) == kept


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_edit_of_nothing(edit: Edit) -> None:
    with pytest.raises(Invalid, match="No clip is selected"):
        edit(edits.exclude_clips)


def test_a_clip_of_other_data(alice: User, workspace: Workspace, raw_data: RawData) -> None:
    other = make_clips(alice, [{"name": "a", "label": "up", "split": "train"}], name="Other")
    clips = [clip.pk for clip in other.clips.all()]
    with pytest.raises(Invalid, match="1 of the clips are not in “Rows”"):
        edits.exclude_clips(workspace=workspace, user=alice, raw_data=raw_data, clips=clips)


def test_data_of_others(bob: User, raw_data: RawData) -> None:
    clips = [clip.pk for clip in raw_data.clips.all()]
    with pytest.raises(NotFound):
        edits.exclude_clips(workspace=give_personal_workspace(bob), user=bob, raw_data=raw_data, clips=clips)


@pytest.mark.parametrize("label", ["", "  ", "<unknown>", "_noise", "a\nb", "x" * 101])
def test_what_is_no_label(edit: Edit, label: str) -> None:
    with pytest.raises(Invalid) as caught:
        edit(edits.relabel_clips, "up/0.wav", label=label)
    assert caught.value.fields.keys() == {"label"}


def test_noise_has_no_label(edit: Edit) -> None:
    with pytest.raises(Invalid, match="noise have no label"):
        edit(edits.relabel_clips, "up/0.wav", "hum.wav", label="down")


def test_an_edit_is_undone_once(edit: Edit, alice: User) -> None:
    first = edit(edits.exclude_clips, "up/0.wav")
    edits.undo_edit(edit=first, user=alice)
    with pytest.raises(Conflict, match="undone already"):
        edits.undo_edit(edit=first, user=alice)


def test_a_long_reason(edit: Edit) -> None:
    with pytest.raises(Invalid, match="at most 200"):
        edit(edits.exclude_clips, "up/0.wav", reason="x" * 201)


# --- datasets follow --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["original", "clip", "speaker"])
def test_a_recipe_follows_the_edits_and_keeps_earlier_revisions(
    edit: Edit, raw_data: RawData, workspace: Workspace, split: str
) -> None:
    chosen = DatasetParameters.model_validate({"keywords": ["up"], "unknown_percentage": 50, "split": split})
    now, before = DataRevision(raw_data, workspace), DataRevision(raw_data, workspace, 0)
    at_first = list(recipe.members(before, chosen)), recipe.label_counts(before, chosen)
    edit(edits.exclude_clips, "up/0.wav", "hum.wav")
    edit(edits.relabel_clips, "up/1.wav", "up/2.wav", label="down")
    edit(edits.relabel_clips, "left/3.wav", label="up")

    up = chosen.labels.index("up")
    ids = {member.clip_id for member in recipe.members(now, chosen) if member.label == up}
    names = set(Clip.objects.filter(pk__in=ids).values_list("name", flat=True))
    assert names == {f"up/{n}.wav" for n in range(3, 20)} | {"left/3.wav"}
    assert sum(dict(recipe.label_counts(now, chosen))["up"].values()) == 18
    assert recipe.noise(now, chosen) == []
    assert (list(recipe.members(before, chosen)), recipe.label_counts(before, chosen)) == at_first


def test_an_edit_moves_no_other_clip_to_another_split(edit: Edit, raw_data: RawData, workspace: Workspace) -> None:
    chosen = DatasetParameters.model_validate({"keywords": ["up"], "unknown_percentage": 0, "split": "speaker"})
    data = DataRevision(raw_data, workspace)
    before = {member.clip_id: member.split for member in recipe.members(data, chosen)}
    edit(edits.exclude_clips, *[f"{word}/{n}.wav" for word in ("up", "down", "left") for n in range(0, 20, 5)])
    after = {member.clip_id: member.split for member in recipe.members(data, chosen)}
    assert after == {clip: before[clip] for clip in after}
    assert len(after) == 16


def test_a_dataset_is_made_of_what_the_edits_left(
    edit: Edit, alice: User, raw_data: RawData, workspace: Workspace
) -> None:
    edit(edits.relabel_clips, *[f"up/{n}.wav" for n in range(20)], label="upwards")
    made = {"workspace": workspace, "user": alice, "raw_data": raw_data}
    with pytest.raises(Invalid, match="“up” is not in “Rows”"):
        services.create_dataset(**made, name="Old", parameters={"keywords": ["up"]})
    dataset = services.create_dataset(**made, name="New", parameters={"keywords": ["upwards"]})
    assert dict(dataset.counts)["upwards"] == {"train": 16, "validation": 2, "test": 2}
