"""The one Job that imports, runs, previews, maps and artifacts share.

PostgreSQL is the truth and the queue is only a wake-up. A job is a row first; an `Outbox` row in the same transaction
asks for its task, which carries the row's id alone. A worker takes the row by one conditional update, which counts the
attempt and sets a lease that the worker renews. From then on every write of that attempt carries the attempt's number:
an update that meets another number changes nothing, so a worker that was thought dead can do no harm.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from edgewise.accounts.models import WorkspaceRow


class State(models.TextChoices):
    """Where a job stands. An interrupted job lost its worker and waits to go on from where it was."""

    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = (State.QUEUED, State.INTERRUPTED)
ACTIVE = (State.QUEUED, State.INTERRUPTED, State.RUNNING)
ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Queue(models.TextChoices):
    """The queues: a training run fills a processor, the others are light."""

    TRAIN = "train"
    LIGHT = "light"


class Job(WorkspaceRow):
    """Work that a worker does, and how far it is."""

    KIND: ClassVar[str]
    QUEUE: ClassVar[Queue] = Queue.LIGHT

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    crashes = models.PositiveSmallIntegerField(default=0, help_text="Workers lost since the last checkpoint.")
    memory_kills = models.PositiveSmallIntegerField(default=0, help_text="Workers lost for lack of memory.")

    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(default=0)
    progress_unit = models.CharField(max_length=20, blank=True)
    rate = models.FloatField(null=True, blank=True, help_text="Progress per second, as the attempt has measured it.")
    message = models.CharField(max_length=500, blank=True)

    failure_code = models.CharField(max_length=50, blank=True)
    failure_reason = models.TextField(blank=True)
    failure_remedy = models.TextField(blank=True)

    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=~Q(state=State.RUNNING) | Q(lease_until__isnull=False), name="%(class)s_running_has_lease"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ENDED, finished_at__isnull=False)
                | (~Q(state__in=ENDED) & Q(finished_at__isnull=True)),
                name="%(class)s_ended_has_time",
            ),
        ]

    @property
    def active(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in ACTIVE

    @property
    def ended(self) -> bool:
        """Whether the job is over, one way or another."""
        return self.state in ENDED


class Outbox(models.Model):
    """A wake-up to be sent: written with the job's row, deleted when a worker took the job."""

    job_id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=30)
    queue = models.CharField(max_length=10, choices=Queue.choices)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "outbox"


class Level(models.TextChoices):
    """Weight of a line in a job's log."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogLine(models.Model):
    """A line of a job's log, for people."""

    job_id = models.UUIDField()
    attempt = models.PositiveIntegerField()
    time = models.DateTimeField(auto_now_add=True)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    text = models.TextField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["job_id", "id"])]

    def as_dict(self) -> dict[str, Any]:
        """The line as the API and the live events show it."""
        return {"id": self.pk, "time": self.time.isoformat(), "level": self.level, "text": self.text}


class WorkerHeartbeat(models.Model):
    """A worker that consumes a queue; it says so every few seconds."""

    name = models.CharField(max_length=200, primary_key=True)
    queue = models.CharField(max_length=10, choices=Queue.choices)
    seen_at = models.DateTimeField()
    started_at = models.DateTimeField()
    doing = models.CharField(max_length=200, blank=True)
