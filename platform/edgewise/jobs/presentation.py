"""One shape in which pages, API and live events show every job."""

from __future__ import annotations

from typing import Any

from edgewise.jobs.models import Job, State


def snapshot(job: Job) -> dict[str, Any]:
    """Describe where a job stands, ready for JSON. `rate` is progress per second, `seconds_left` an estimate."""
    rate = job.rate if job.state == State.RUNNING else None
    left = (job.progress_total - job.progress_done) / rate if rate and job.progress_total else None
    failure = {"code": job.failure_code, "reason": job.failure_reason, "remedy": job.failure_remedy}
    return {
        "id": str(job.pk),
        "kind": job.KIND,
        "state": job.state,
        "cancel_requested": job.cancel_requested,
        "attempt": job.attempt,
        "progress": {"done": job.progress_done, "total": job.progress_total, "unit": job.progress_unit},
        "rate": round(rate, 2) if rate else None,
        "seconds_left": None if left is None else round(left, 1),
        "message": job.message,
        "failure": failure if job.state == State.FAILED else None,
        "queued_at": _time(job.queued_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
    }


def _time(moment: Any) -> str | None:
    # As the framework writes the times of rows.
    return moment.isoformat().replace("+00:00", "Z") if moment else None
