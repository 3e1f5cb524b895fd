"""The life of a job, step by step. Each step is one conditional update whose count is checked."""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Collection
from typing import Any, TypeVar

import kombu.exceptions
from celery import current_app
from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from edgewise.errors import Conflict, QueueFull
from edgewise.events.publish import publish, publish_job
from edgewise.jobs.models import ENDED, WAITING, Job, Level, LogLine, Outbox, State
from edgewise.jobs.registry import job_models, task_name

log = logging.getLogger(__name__)
J = TypeVar("J", bound=Job)

MAX_CRASHES = 10
"""Workers that a job may lose between two checkpoints before it is given up."""
MAX_MEMORY_KILLS = 2
"""Workers that a job may lose for lack of memory, whatever it achieves in between."""


class LeaseLost(Exception):
    """The attempt is over: the job was cancelled, finished or taken by another worker."""


# --- asking for work --------------------------------------------------------------------------------------------------


def enqueue(job: Job) -> None:
    """Ask for a worker. Call it in the transaction that saves `job`; the task is sent when that has committed.

    Raises:
        QueueFull: too many jobs wait already.
    """
    with transaction.atomic():
        waiting = Outbox.objects.filter(queue=job.QUEUE).count()
        if waiting >= settings.JOB_QUEUE_LIMIT:
            raise QueueFull(
                f"The queue is full: {waiting} jobs wait for a worker.",
                "Try again when some have finished, or ask the operator to start more workers.",
            )
        _wake_after_commit(job)


def _wake_after_commit(job: Job) -> None:
    Outbox.objects.update_or_create(job_id=job.pk, defaults={"kind": job.KIND, "queue": job.QUEUE, "sent_at": None})
    transaction.on_commit(lambda: _announce(job))


def _announce(job: Job) -> None:
    publish_job(job)
    send(Outbox(job_id=job.pk, kind=job.KIND, queue=job.QUEUE))


def send(entry: Outbox) -> None:
    """Wake a worker. Where the queue cannot be reached the entry stays unsent, and `recover` sends it later."""
    try:
        current_app.send_task(
            task_name(entry.kind), args=[str(entry.job_id)], queue=entry.queue, retry=False, ignore_result=True
        )
    except (kombu.exceptions.OperationalError, OSError) as error:
        log.warning("the queue cannot be reached, the job waits in the outbox: %s", error)
        return
    Outbox.objects.filter(job_id=entry.job_id).update(sent_at=timezone.now())


def request_cancel(job: Job) -> None:
    """Stop a job: at once where it waits, within two seconds where it runs.

    Raises:
        Conflict: the job is over.
    """
    with transaction.atomic():
        # Locked: a worker may take the job, or give it back, at this very moment.
        present = _rows(job).select_for_update().get()
        if present.ended:
            raise Conflict("This job is over already; there is nothing to cancel.")
        _rows(job).update(cancel_requested=True)
        if present.state in WAITING:
            _rows(job).update(state=State.CANCELLED, finished_at=timezone.now(), message="Cancelled")
            Outbox.objects.filter(job_id=job.pk).delete()
        announce(job)


def requeue(job: Job) -> None:
    """Let a job that failed or was cancelled go on from where it was.

    Raises:
        Conflict: the job waits or runs, or has succeeded.
    """
    if not _queue_again(job, (State.FAILED, State.CANCELLED)):
        raise Conflict("Only a job that failed or was cancelled can be resumed.")


def repeat(job: Job) -> None:
    """Let a job that is over work again, because there is more for it to do.

    Raises:
        Conflict: the job waits or runs.
    """
    if not _queue_again(job, ENDED):
        raise Conflict("This job is at work already.", "Wait until it has ended.")


def _queue_again(job: Job, states: Collection[State]) -> bool:
    with transaction.atomic():
        again = _rows(job).filter(state__in=states).update(
            state=State.QUEUED, cancel_requested=False, crashes=0, memory_kills=0, finished_at=None, worker="",
            queued_at=timezone.now(), started_at=None, message="",
            failure_code="", failure_reason="", failure_remedy="",
        )  # fmt: skip
        if again:
            job.refresh_from_db()
            enqueue(job)
        return bool(again)


# --- doing the work: called by workers --------------------------------------------------------------------------------


def claim(model: type[J], job_id: uuid.UUID, worker: str) -> J | None:
    """Take a waiting job, or return None where there is nothing to take: a second wake-up is no work."""
    with transaction.atomic():
        now = timezone.now()
        taken = model._default_manager.filter(pk=job_id, state__in=WAITING).update(
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            worker=worker,
            lease_until=_lease(now),
            started_at=Coalesce(F("started_at"), now),
            rate=None,
        )
        if not taken:
            _forget_wake_up(model, job_id)
            return None
        Outbox.objects.filter(job_id=job_id).delete()
    job = model._default_manager.get(pk=job_id)
    publish_job(job)
    return job


def _forget_wake_up(model: type[Job], job_id: uuid.UUID) -> None:
    """Delete the wake-up of a job that is deleted or over, or it would be sent again for ever."""
    # Locked: it may be resumed at this very moment.
    job = model._default_manager.select_for_update().filter(pk=job_id).first()
    if job is None or job.state not in WAITING:
        Outbox.objects.filter(job_id=job_id).delete()


def renew(job: Job) -> bool:
    """Renew the lease of this attempt; False where the attempt is over."""
    return bool(_attempt(job).update(lease_until=_lease(timezone.now())))


def record_progress(
    job: Job, *, done: int, total: int, unit: str, message: str = "", rate: float | None = None
) -> None:
    """Write how far this attempt is, and tell everyone who watches. `rate` is progress per second.

    Raises:
        LeaseLost: the attempt is over.
    """
    values: dict[str, Any] = {
        "progress_done": done, "progress_total": total, "progress_unit": unit, "message": message, "rate": rate,
    }  # fmt: skip
    write_fenced(job, **values)
    for name, value in values.items():
        setattr(job, name, value)
    publish_job(job)


def write_fenced(job: Job, **values: Any) -> None:
    """Write to the row of this attempt, inside the caller's transaction.

    Raises:
        LeaseLost: the attempt is over; the transaction must not be committed.
    """
    if not _attempt(job).update(**values):
        raise LeaseLost


def write_log(job: Job, text: str, level: str = Level.INFO) -> None:
    """Add a line to the job's log, and tell everyone who watches."""
    line = LogLine.objects.create(job_id=job.pk, attempt=job.attempt, level=level, text=text)
    transaction.on_commit(lambda: publish(f"job:{job.pk}", "log", line.as_dict()))


def delete_log(job: Job) -> None:
    """Delete the lines of a job that is gone: they name it by its id alone."""
    LogLine.objects.filter(job_id=job.pk).delete()


def write_fenced_log(job: Job, text: str, level: str = Level.INFO) -> None:
    """Add a line to the log of this attempt.

    Raises:
        LeaseLost: the attempt is over.
    """
    with transaction.atomic():
        if not _attempt(job).select_for_update().exists():
            raise LeaseLost
        write_log(job, text, level)


def succeed(job: Job, **results: Any) -> None:
    """End this attempt well and write its `results` in the same update.

    Raises:
        LeaseLost: the attempt is over.
    """
    _end(job, State.SUCCEEDED, **results)


def fail(job: Job, *, code: str, reason: str, remedy: str) -> None:
    """End this attempt with a reason and a remedy for people.

    Raises:
        LeaseLost: the attempt is over.
    """
    with transaction.atomic():
        _end(job, State.FAILED, failure_code=code, failure_reason=reason, failure_remedy=remedy)
        write_log(job, f"{reason} {remedy}".strip(), Level.ERROR)


def cancelled(job: Job) -> None:
    """End this attempt because a user wished so.

    Raises:
        LeaseLost: the attempt is over.
    """
    _end(job, State.CANCELLED, message="Cancelled")


def interrupt(job: Job, why: str) -> None:
    """Give the job back to the queue: its worker shuts down, and another goes on from the last checkpoint.

    Raises:
        LeaseLost: the attempt is over.
    """
    _give_back(job, why)


def crashed(job: Job, why: str, *, out_of_memory: bool = False) -> None:
    """Give the job of a worker that died back to the queue, or fail it where that happened too often.

    Raises:
        LeaseLost: the attempt is over.
    """
    if out_of_memory and job.memory_kills + 1 >= MAX_MEMORY_KILLS:
        fail(
            job,
            code="out-of-memory",
            reason="The working process was ended again and again because the machine ran out of memory.",
            remedy="Choose a smaller batch size or network, or a machine with more memory.",
        )
    elif job.crashes + 1 > MAX_CRASHES:
        fail(
            job,
            code="worker-lost",
            reason=f"The worker died {job.crashes + 1} times without any progress.",
            remedy="Look at the worker's log, free memory or disk, then press Resume.",
        )
    else:
        _give_back(job, why, crashes=F("crashes") + 1, memory_kills=F("memory_kills") + int(out_of_memory))


def _give_back(job: Job, why: str, **counters: Any) -> None:
    with transaction.atomic():
        write_fenced(job, state=State.INTERRUPTED, lease_until=None, worker="", message=why, **counters)
        write_log(job, f"{why} The job goes on from where it was.", Level.WARNING)
        job.refresh_from_db()
        _wake_after_commit(job)


# --- recovery: called by the maintenance worker -----------------------------------------------------------------------


def recover() -> None:
    """Take back jobs that lost their worker, and send again the wake-ups that were lost."""
    for model in job_models().values():
        for job in model._default_manager.filter(state=State.RUNNING, lease_until__lt=timezone.now()):
            _take_back(job)
    for entry in Outbox.objects.filter(sent_at__isnull=True):
        send(entry)
    late = timezone.now() - datetime.timedelta(seconds=settings.JOB_LEASE_SECONDS)
    lost = Outbox.objects.filter(sent_at__lt=late)
    for queue in set(lost.values_list("queue", flat=True)):
        # Jobs may wait for long behind others; only where nothing waits have wake-ups been lost.
        if not _length(queue):
            for entry in lost.filter(queue=queue):
                send(entry)


def _take_back(job: Job) -> None:
    try:
        if job.cancel_requested:
            cancelled(job)
        else:
            crashed(job, "The worker was lost.")
    except LeaseLost:
        log.info("%s %s ended just now", job.KIND, job.pk)


def _length(queue: str) -> int:
    with current_app.connection_for_write() as connection:
        channel = connection.default_channel
        return int(channel._size(queue))  # type: ignore[attr-defined]


# --- helpers ----------------------------------------------------------------------------------------------------------


def announce(job: Job) -> None:
    """Read the job's row again and tell everyone who watches, when the transaction has committed."""

    def tell() -> None:
        job.refresh_from_db()
        publish_job(job)

    transaction.on_commit(tell)


def _end(job: Job, state: State, **values: Any) -> None:
    with transaction.atomic():
        ended = _attempt(job).update(state=state, finished_at=timezone.now(), lease_until=None, **values)
        if not ended:
            raise LeaseLost
        announce(job)


def _rows(job: J) -> models.QuerySet[J]:
    return type(job)._default_manager.filter(pk=job.pk)


def _attempt(job: J) -> models.QuerySet[J]:
    return _rows(job).filter(state=State.RUNNING, attempt=job.attempt)


def _lease(now: datetime.datetime) -> datetime.datetime:
    return now + datetime.timedelta(seconds=settings.JOB_LEASE_SECONDS)
