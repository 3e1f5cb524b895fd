"""One shape in which pages, API and live events show every job."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from edgewise.jobs.models import Job, State


def snapshot(job: Job) -> dict[str, Any]:
    """Describe where a job stands, ready for JSON. `rate` is progress per second, `seconds_left` an estimate."""
    rate, left = _pace(job)
    failure = {"code": job.failure_code, "reason": job.failure_reason, "remedy": job.failure_remedy}
    return {
        "id": str(job.pk),
        "kind": job.KIND,
        "state": job.state,
        "cancel_requested": job.cancel_requested,
        "attempt": job.attempt,
        "progress": {"done": job.progress_done, "total": job.progress_total, "unit": job.progress_unit},
        "rate": rate,
        "seconds_left": left,
        "message": job.message,
        "failure": failure if job.state == State.FAILED else None,
        "queued_at": _time(job.queued_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
    }


def _pace(job: Job) -> tuple[float | None, float | None]:
    if job.state != State.RUNNING or not job.started_at or not job.progress_done:
        return None, None
    seconds = max(1e-3, (timezone.now() - job.started_at).total_seconds())
    rate = job.progress_done / seconds
    left = (job.progress_total - job.progress_done) / rate if job.progress_total else None
    return round(rate, 2), None if left is None else round(max(0.0, left), 1)


def _time(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
