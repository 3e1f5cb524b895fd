"""What users change in the clips of raw data: exclude, include, relabel, undo.

The log (`ClipEdit` with its clips) is the truth. `ClipOverride` is derived from it: an edit closes what was in force
for its clips and writes what holds from its revision on, so nothing that was true of an earlier revision ever changes.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import transaction

from datasets_app.models import Clip, ClipEdit, ClipEditItem, ClipKind, ClipOverride, EditAction, RawData
from datasets_app.revisions import newest_revision
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid, NotFound

LONGEST_LABEL = 100
LONGEST_REASON = 200
ROWS_AT_ONCE = 5000


def exclude_clips(
    *, workspace: Workspace, user: User, raw_data: RawData, clips: Collection[uuid.UUID], reason: str = ""
) -> ClipEdit:
    """Leave clips out of everything that is made of the data from now on.

    Args:
        workspace: whose edit it is; others do not see it, even where the data is shared.
        user: who makes it.
        raw_data: holds the clips.
        clips: ids.
        reason: for the history.

    Raises:
        Invalid: nothing is selected, or a clip is not in the data.
    """
    return _edit(workspace, user, raw_data, EditAction.EXCLUDE, clips, reason=reason)


def include_clips(
    *, workspace: Workspace, user: User, raw_data: RawData, clips: Collection[uuid.UUID], reason: str = ""
) -> ClipEdit:
    """Take clips that were excluded in again. Arguments and errors are those of `exclude_clips`."""
    return _edit(workspace, user, raw_data, EditAction.INCLUDE, clips, reason=reason)


def relabel_clips(
    *, workspace: Workspace, user: User, raw_data: RawData, clips: Collection[uuid.UUID], label: str, reason: str = ""
) -> ClipEdit:
    """Say that clips hold another word; it may be one that the data did not have.

    Arguments are those of `exclude_clips`.

    Raises:
        Invalid: the label is none, nothing is selected, or a clip is noise or not in the data.
    """
    label = _checked_label(label)
    if Clip.objects.filter(raw_data=raw_data, pk__in=clips, kind=ClipKind.NOISE).exists():
        raise Invalid({"clips": "Recordings of noise have no label. Select words alone, or exclude the noise."})
    return _edit(workspace, user, raw_data, EditAction.RELABEL, clips, label=label, reason=reason)


def edit_clips(
    *, workspace: Workspace, user: User, raw_data: RawData, action: str, clips: Collection[uuid.UUID], label: str = "",
    reason: str = "",
) -> ClipEdit:  # fmt: skip
    """Do one of the three by its name, as forms and scripts ask for it.

    Raises:
        Invalid: there is no such action, or the action refuses.
    """
    match action:
        case EditAction.EXCLUDE:
            return exclude_clips(workspace=workspace, user=user, raw_data=raw_data, clips=clips, reason=reason)
        case EditAction.INCLUDE:
            return include_clips(workspace=workspace, user=user, raw_data=raw_data, clips=clips, reason=reason)
        case EditAction.RELABEL:
            return relabel_clips(
                workspace=workspace, user=user, raw_data=raw_data, clips=clips, label=label, reason=reason
            )
    raise Invalid({"action": "Choose what to do with the clips: exclude, include or relabel."})


def undo_edit(*, edit: ClipEdit, user: User) -> ClipEdit:
    """Take an edit back, as if it had never been made; edits that came after it stay. An undo can be undone too.

    Raises:
        Conflict: it is undone already.
    """
    with transaction.atomic():
        _lock(edit.workspace)
        if ClipEdit.objects.filter(undoes=edit).exists():
            raise Conflict("This edit is undone already.", "Look at the history for what is in force.")
        clips = edit.items.values_list("clip_id", flat=True)
        return _record(edit.workspace, user, edit.raw_data, EditAction.UNDO, clips, undoes=edit)


def _edit(
    workspace: Workspace, user: User, raw_data: RawData, action: EditAction, clips: Collection[uuid.UUID], *,
    label: str = "", reason: str = "",
) -> ClipEdit:  # fmt: skip
    if not RawData.objects.visible_to(workspace).filter(pk=raw_data.pk).exists():
        raise NotFound("raw data")
    wanted = set(clips)
    if not wanted:
        raise Invalid({"clips": "No clip is selected. Select at least one."})
    if len(reason) > LONGEST_REASON:
        raise Invalid({"reason": f"Say it in at most {LONGEST_REASON} characters."})
    there = Clip.objects.filter(raw_data=raw_data, pk__in=wanted).count()
    if missing := len(wanted) - there:
        raise Invalid({"clips": f"{missing:,} of the clips are not in “{raw_data.name}”. Load the list again."})
    with transaction.atomic():
        _lock(workspace)
        return _record(workspace, user, raw_data, action, wanted, label=label, reason=reason.strip())


def _checked_label(label: str) -> str:
    label = label.strip()
    if not label:
        raise Invalid({"label": "Give the word that is spoken in the clips."})
    if len(label) > LONGEST_LABEL or not label.isprintable() or label.startswith(("<", "_")):
        raise Invalid(
            {
                "label": f"“{label}” cannot be a label: use at most {LONGEST_LABEL} letters and digits. "
                "Names that begin with < or _ are Edgewise's own."
            }
        )
    return label


def _lock(workspace: Workspace) -> None:
    """Let edits of a workspace wait for each other, so that revisions follow one another without a gap."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)


def _record(
    workspace: Workspace, user: User, raw_data: RawData, action: EditAction, clips: Iterable[uuid.UUID], *,
    label: str = "", reason: str = "", undoes: ClipEdit | None = None,
) -> ClipEdit:  # fmt: skip
    touched = sorted(clips)
    edit = ClipEdit.objects.create(
        workspace=workspace, created_by=user, raw_data=raw_data, action=action, label=label, reason=reason,
        undoes=undoes, clip_count=len(touched), revision=newest_revision(workspace, raw_data) + 1,
    )  # fmt: skip
    ClipEditItem.objects.bulk_create(
        (ClipEditItem(edit=edit, clip_id=clip) for clip in touched), batch_size=ROWS_AT_ONCE
    )
    _derive_overrides(edit)
    return edit


# --- from the log to what is in force ---------------------------------------------------------------------------------


@dataclass
class _State:
    recorded: str
    label: str
    excluded: bool = False


def _derive_overrides(edit: ClipEdit) -> None:
    """Close what was in force for the edit's clips, and write what holds from its revision on."""
    touched = edit.items.values("clip_id")
    ClipOverride.objects.filter(workspace=edit.workspace, until=None, clip__in=touched).update(until=edit.revision)
    ClipOverride.objects.bulk_create(
        (
            ClipOverride(
                workspace=edit.workspace, clip_id=clip, label=state.label, excluded=state.excluded, since=edit.revision
            )
            for clip, state in _replayed(edit).items()
            if state.excluded or state.label != state.recorded
        ),
        batch_size=ROWS_AT_ONCE,
    )


def _replayed(edit: ClipEdit) -> dict[uuid.UUID, _State]:
    """Play the log up to an edit, for the clips of that edit."""
    undone = _undone(edit)
    states: dict[uuid.UUID, _State] = {}
    items = ClipEditItem.objects.filter(
        edit__workspace=edit.workspace, edit__raw_data=edit.raw_data, clip__in=edit.items.values("clip_id")
    ).order_by("edit__revision")
    for edit_id, action, label, clip, recorded in items.values_list(
        "edit_id", "edit__action", "edit__label", "clip_id", "clip__label"
    ):
        state = states.setdefault(clip, _State(recorded, recorded))
        if edit_id in undone:
            continue
        if action == EditAction.RELABEL:
            state.label = label
        elif action != EditAction.UNDO:
            state.excluded = action == EditAction.EXCLUDE
    return states


def _undone(edit: ClipEdit) -> set[uuid.UUID]:
    """Edits that are taken back. Read from the newest on: an undo that is undone itself takes nothing back."""
    undone: set[uuid.UUID] = set()
    log = ClipEdit.objects.filter(workspace=edit.workspace, raw_data=edit.raw_data).order_by("-revision")
    for edit_id, undoes in log.values_list("pk", "undoes"):
        if undoes is not None and edit_id not in undone:
            undone.add(undoes)
    return undone
