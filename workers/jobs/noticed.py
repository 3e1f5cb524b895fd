"""What the check notices about clips, written as rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from datasets_app.models import Finding, RawData
from workers.engine.quality.check import Finding as Noticed

ROWS_AT_ONCE = 5000


def replace_findings(raw_data: RawData, noticed: Iterable[Noticed], clips: Sequence[uuid.UUID]) -> None:
    """Forget what was noticed before, and write what is now; `clips` are the ids by the numbers of the check."""
    raw_data.findings.all().delete()
    Finding.objects.bulk_create(
        (
            Finding(
                raw_data=raw_data, code=one.code.value, clip_id=clips[one.clip],
                other_id=None if one.other is None else clips[one.other], suggestion=one.suggestion, score=one.score,
            )
            for one in noticed
        ),
        batch_size=ROWS_AT_ONCE,
    )  # fmt: skip
