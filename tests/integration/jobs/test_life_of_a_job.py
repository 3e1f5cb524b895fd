"""The life of a job: claimed once, fenced by its attempt, recovered when its worker or its wake-up is lost."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from datasets_app.models import Origin, RawData, RawDataImport, Source
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, QueueFull
from edgewise.jobs import services
from edgewise.jobs.models import LogLine, Outbox, State
from edgewise.jobs.presentation import snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice: User, workspace: Workspace) -> RawDataImport:
    """A job that waits."""
    raw_data = RawData.objects.create(workspace=workspace, created_by=alice, name="words", origin=Origin.UPLOADED)
    waiting = RawDataImport.objects.create(workspace=workspace, raw_data=raw_data, source=Source.PATH, location="-")
    services.enqueue(waiting)
    return waiting


def claim(job: RawDataImport) -> RawDataImport:
    claimed = services.claim(RawDataImport, job.pk, "worker")
    assert claimed is not None
    return claimed


def expire(job: RawDataImport) -> None:
    past = timezone.now() - datetime.timedelta(seconds=1)
    RawDataImport.objects.filter(pk=job.pk).update(lease_until=past)


def test_a_second_wake_up_is_no_work(job: RawDataImport) -> None:
    claim(job)
    assert services.claim(RawDataImport, job.pk, "another worker") is None


def test_the_wake_up_is_sent_after_the_commit(
    job: RawDataImport, sent: list[Outbox], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        services.enqueue(job)
        assert sent == []
    assert [entry.job_id for entry in sent] == [job.pk]


def test_a_lost_wake_up_is_sent_again(job: RawDataImport, sent: list[Outbox]) -> None:
    sent.clear()
    services.recover()
    assert [entry.job_id for entry in sent] == [job.pk]


def test_a_wake_up_that_was_just_sent_is_left_alone(job: RawDataImport, sent: list[Outbox]) -> None:
    Outbox.objects.update(sent_at=timezone.now())
    sent.clear()
    services.recover()
    assert sent == []


def test_a_job_that_lost_its_worker_waits_again(job: RawDataImport) -> None:
    claimed = claim(job)
    expire(claimed)
    services.recover()
    job.refresh_from_db()
    assert job.state == State.INTERRUPTED
    assert Outbox.objects.filter(job_id=job.pk).exists()
    assert "worker was lost" in LogLine.objects.get(job_id=job.pk).text
    assert claim(job).attempt == 2


def test_a_living_lease_is_left_alone(job: RawDataImport) -> None:
    claim(job)
    services.recover()
    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_a_late_worker_changes_nothing(job: RawDataImport) -> None:
    late = claim(job)
    expire(late)
    services.recover()
    present = claim(job)
    with pytest.raises(services.LeaseLost):
        services.record_progress(late, done=1, total=2, unit="files")
    with pytest.raises(services.LeaseLost):
        services.succeed(late)
    with pytest.raises(services.LeaseLost):
        services.fail(late, code="x", reason="x", remedy="x")
    assert not services.renew(late)
    assert services.renew(present)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.progress_done) == (State.RUNNING, 2, 0)


def test_a_waiting_job_is_cancelled_at_once(job: RawDataImport) -> None:
    services.request_cancel(job)
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert not Outbox.objects.exists()
    assert services.claim(RawDataImport, job.pk, "worker") is None


def test_a_running_job_is_asked_to_stop(job: RawDataImport) -> None:
    claimed = claim(job)
    services.request_cancel(claimed)
    claimed.refresh_from_db()
    assert claimed.cancel_requested
    assert claimed.state == State.RUNNING


def test_a_cancelled_job_whose_worker_died_ends(job: RawDataImport) -> None:
    claimed = claim(job)
    services.request_cancel(claimed)
    expire(claimed)
    services.recover()
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_what_has_ended_cannot_be_cancelled(job: RawDataImport) -> None:
    services.succeed(claim(job))
    with pytest.raises(Conflict, match="nothing to cancel"):
        services.request_cancel(job)


def test_a_failed_job_can_be_resumed(job: RawDataImport) -> None:
    services.fail(claim(job), code="damaged", reason="It is damaged.", remedy="Mend it.")
    job.refresh_from_db()
    assert (job.failure_reason, job.failure_remedy) == ("It is damaged.", "Mend it.")
    services.requeue(job)
    job.refresh_from_db()
    assert (job.state, job.failure_reason) == (State.QUEUED, "")
    with pytest.raises(Conflict):
        services.requeue(job)


def test_a_full_queue_says_so(job: RawDataImport, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 1
    with pytest.raises(QueueFull, match="1 jobs wait"):
        services.enqueue(job)


def test_a_full_queue_never_turns_an_interrupted_job_away(job: RawDataImport, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 1
    claimed = claim(job)
    Outbox.objects.create(job_id=claimed.raw_data_id, kind="import_raw_data", queue="light")
    services.interrupt(claimed, "The worker was stopped.")
    assert Outbox.objects.filter(job_id=job.pk).exists()


def test_a_job_that_only_kills_workers_is_given_up(job: RawDataImport) -> None:
    for _ in range(services.MAX_CRASHES):
        services.crashed(claim(job), "Killed.")
    expire(claim(job))
    services.recover()
    job.refresh_from_db()
    assert (job.state, job.failure_code) == (State.FAILED, "worker-lost")
    assert job.failure_remedy


def test_progress_that_is_lost_with_the_worker_forgives_no_crash(job: RawDataImport) -> None:
    services.crashed(claim(job), "Killed.")
    claimed = claim(job)
    services.record_progress(claimed, done=1, total=2, unit="files")
    job.refresh_from_db()
    assert job.crashes == 1


def test_a_worker_that_is_stopped_has_not_crashed(job: RawDataImport) -> None:
    services.interrupt(claim(job), "The worker was stopped.")
    assert claim(job).crashes == 0


def test_memory_that_runs_out_twice_ends_the_job(job: RawDataImport) -> None:
    services.crashed(claim(job), "Killed.")
    services.crashed(claim(job), "Killed for lack of memory.", out_of_memory=True)
    job.refresh_from_db()
    assert job.state == State.INTERRUPTED
    services.crashed(claim(job), "Killed for lack of memory.", out_of_memory=True)
    job.refresh_from_db()
    assert (job.state, job.failure_code) == (State.FAILED, "out-of-memory")
    assert "smaller batch" in job.failure_remedy


def test_a_log_goes_with_its_job(job: RawDataImport) -> None:
    services.write_log(job, "Step 20.")
    job.delete()
    assert not LogLine.objects.exists()


def test_who_resumes_begins_with_a_clean_record(job: RawDataImport) -> None:
    services.crashed(claim(job), "Killed for lack of memory.", out_of_memory=True)
    services.fail(claim(job), code="x", reason="x", remedy="x")
    services.requeue(job)
    resumed = claim(job)
    assert (resumed.crashes, resumed.memory_kills) == (0, 0)
    assert resumed.started_at > resumed.queued_at, "the pause is no part of its time"


def test_a_job_that_is_given_back_while_it_is_cancelled_is_cancelled_by_the_next_worker(job: RawDataImport) -> None:
    claimed = claim(job)
    services.request_cancel(job)
    services.interrupt(claimed, "The worker was stopped.")
    services.request_cancel(job)
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_a_wake_up_that_was_never_sent_does_not_wait_for_an_empty_queue(
    job: RawDataImport, sent: list[Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_length", lambda queue: 7)
    sent.clear()
    services.recover()
    assert [entry.job_id for entry in sent] == [job.pk]
    long_ago = timezone.now() - datetime.timedelta(hours=1)
    Outbox.objects.update(sent_at=long_ago)
    sent.clear()
    services.recover()
    assert sent == []


def test_a_wake_up_that_redis_lost_is_sent_again(
    job: RawDataImport, sent: list[Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_length", lambda queue: 0)
    Outbox.objects.update(sent_at=timezone.now() - datetime.timedelta(hours=1))
    sent.clear()
    services.recover()
    assert [entry.job_id for entry in sent] == [job.pk]


def test_the_wake_up_of_a_deleted_job_is_forgotten(job: RawDataImport) -> None:
    job_id = job.pk
    job.delete()
    assert services.claim(RawDataImport, job_id, "worker") is None
    assert not Outbox.objects.exists()


def test_a_failure_is_told_once_in_the_log(job: RawDataImport) -> None:
    late = claim(job)
    expire(late)
    services.recover()
    LogLine.objects.all().delete()
    with pytest.raises(services.LeaseLost):
        services.fail(late, code="x", reason="It was late.", remedy="")
    with pytest.raises(services.LeaseLost):
        services.write_fenced_log(late, "It was late.")
    assert not LogLine.objects.exists()


def test_the_time_left_follows_from_the_measured_rate(job: RawDataImport) -> None:
    claimed = claim(job)
    assert snapshot(claimed)["seconds_left"] is None
    services.record_progress(claimed, done=40, total=100, unit="files", rate=3.0)
    assert (snapshot(claimed)["rate"], snapshot(claimed)["seconds_left"]) == (3.0, 20.0)
    services.interrupt(claimed, "The worker was stopped.")
    # What an earlier attempt has measured says nothing about the next one's machine.
    assert snapshot(claim(job))["rate"] is None
