"""What users change in the clips of raw data: exclude, include, relabel, undo.

The log (`ClipEdit` with its clips) is the truth. `ClipOverride` is derived from it: an edit closes what was in force
for its clips and writes what holds from its revision on, so nothing that was true of an earlier revision ever changes.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable

from django.db import connection, transaction
from django.db.models import Count, Q

from datasets_app.models import Clip, ClipEdit, ClipKind, ClipOverride, EditAction, RawData
from datasets_app.revisions import newest_revision
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid, NotFound

LONGEST_LABEL = 100
LONGEST_REASON = 200

# Rows go from table to table: as objects in Python, the hundred thousand clips of one edit would take a minute.
ADD_ITEMS = "INSERT INTO datasets_app_clipedititem (edit_id, clip_id) SELECT %s, unnest(%s::uuid[])"
ADD_OVERRIDES = """
    INSERT INTO datasets_app_clipoverride (workspace_id, clip_id, label, excluded, since)
    SELECT %(workspace)s, clip.id, coalesce(state.label, clip.label), coalesce(state.excluded, false), %(revision)s
    FROM (
        SELECT item.clip_id,
            (array_agg(edit.label ORDER BY edit.revision DESC) FILTER (WHERE edit.action = 'relabel'))[1] AS label,
            (array_agg(edit.action = 'exclude' ORDER BY edit.revision DESC)
                FILTER (WHERE edit.action IN ('exclude', 'include')))[1] AS excluded
        FROM datasets_app_clipedititem touched
        JOIN datasets_app_clipedititem item ON item.clip_id = touched.clip_id
        JOIN datasets_app_clipedit edit ON edit.id = item.edit_id
        WHERE touched.edit_id = %(edit)s AND edit.workspace_id = %(workspace)s AND edit.raw_data_id = %(raw_data)s
            AND edit.id != ALL (%(undone)s::uuid[])
        GROUP BY item.clip_id
    ) state
    JOIN datasets_app_clip clip ON clip.id = state.clip_id
    WHERE state.excluded OR state.label != clip.label
"""
"""The last relabel and the last exclude or include of each clip that an edit touches, of the edits that hold."""


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
    found = Clip.objects.filter(raw_data=raw_data, pk__in=wanted).aggregate(
        clips=Count("pk"), noise=Count("pk", filter=Q(kind=ClipKind.NOISE))
    )
    if missing := len(wanted) - found["clips"]:
        raise Invalid({"clips": f"{missing:,} of the clips are not in “{raw_data.name}”. Load the list again."})
    if found["noise"] and action == EditAction.RELABEL:
        raise Invalid({"clips": "Recordings of noise have no label. Select words alone, or exclude the noise."})
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
    touched = list(clips)
    edit = ClipEdit.objects.create(
        workspace=workspace, created_by=user, raw_data=raw_data, action=action, label=label, reason=reason,
        undoes=undoes, clip_count=len(touched), revision=newest_revision(workspace, raw_data) + 1,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(ADD_ITEMS, [edit.pk, touched])
    _derive_overrides(edit)
    return edit


# --- from the log to what is in force ---------------------------------------------------------------------------------


def _derive_overrides(edit: ClipEdit) -> None:
    """Close what was in force for the edit's clips, and write what holds from its revision on."""
    touched = edit.items.values("clip_id")
    ClipOverride.objects.filter(workspace=edit.workspace, until=None, clip__in=touched).update(until=edit.revision)
    with connection.cursor() as cursor:
        cursor.execute(
            ADD_OVERRIDES,
            {
                "edit": edit.pk, "workspace": edit.workspace_id, "raw_data": edit.raw_data_id,
                "revision": edit.revision, "undone": list(_undone(edit)),
            },
        )  # fmt: skip


def _undone(edit: ClipEdit) -> set[uuid.UUID]:
    """Edits that are taken back. Read from the newest on: an undo that is undone itself takes nothing back."""
    undone: set[uuid.UUID] = set()
    log = ClipEdit.objects.filter(workspace=edit.workspace, raw_data=edit.raw_data).order_by("-revision")
    for edit_id, undoes in log.values_list("pk", "undoes"):
        if undoes is not None and edit_id not in undone:
            undone.add(undoes)
    return undone
