"""What users do about findings."""

from __future__ import annotations

from datasets_app.edits import exclude_clips
from datasets_app.findings.kinds import KINDS
from datasets_app.findings.queries import findings
from datasets_app.models import ClipEdit
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User
from edgewise.errors import Conflict, Invalid
from edgewise.spec.quality import FindingCode


def exclude_found(*, data: DataRevision, user: User, code: str) -> ClipEdit:
    """Exclude the clips of all open findings of one kind, as one edit that can be undone.

    Raises:
        Invalid: there is no such kind.
        Conflict: nothing of this kind is open.
    """
    if code not in set(FindingCode):
        raise Invalid({"code": f"“{code}” is no kind of finding. Choose one of: {', '.join(FindingCode)}."})
    kind = KINDS[FindingCode(code)]
    clips = findings(data).filter(code=code, settled=False).values_list("clip", flat=True)
    if not clips:
        raise Conflict(f"{kind.title}: nothing is left to do.", "Look at the edits for what was done.")
    return exclude_clips(
        workspace=data.workspace, user=user, raw_data=data.raw_data, clips=set(clips), reason=kind.title
    )
