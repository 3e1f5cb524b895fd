"""The runner: one child process for each attempt, watched, stopped, and settled by how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from datasets_app.models import Origin, RawData, RawDataImport, Source
from edgewise.accounts.models import User, Workspace
from edgewise.jobs import services
from edgewise.jobs.models import LogLine, Outbox, State
from tests.installation import wait_for
from workers import runner
from workers.attempt import scratch_path

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

Child = Callable[[str], None]


@pytest.fixture(autouse=True)
def awake() -> Iterator[None]:
    yield
    runner.shutting_down.clear()


@pytest.fixture
def job(alice: User, workspace: Workspace) -> RawDataImport:
    """A job that waits."""
    raw_data = RawData.objects.create(workspace=workspace, created_by=alice, name="words", origin=Origin.UPLOADED)
    waiting = RawDataImport.objects.create(workspace=workspace, raw_data=raw_data, source=Source.PATH, location="-")
    services.enqueue(waiting)
    return waiting


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Let a few lines of Python be the child."""

    def play(code: str) -> None:
        def spawn(job: Any) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

        monkeypatch.setattr(runner, "_spawn", spawn)

    return play


def do(job: RawDataImport) -> RawDataImport:
    runner.run("import_raw_data", str(job.pk))
    job.refresh_from_db()
    return job


def meanwhile(action: Callable[[], Any], job: RawDataImport) -> threading.Thread:
    """Do something as soon as the job runs."""

    def wait_and_act() -> None:
        while RawDataImport.objects.get(pk=job.pk).state != State.RUNNING:
            time.sleep(0.05)
        action()
        connection.close()

    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()
    return thread


def kills(counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel report these numbers of processes killed for lack of memory, one after the other."""
    monkeypatch.setattr(runner, "_kills_for_memory", iter(counts).__next__)


DIE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
WAIT = "import time; time.sleep(60)"


def test_a_second_delivery_starts_no_child(job: RawDataImport, child: Child, tmp_path: Path) -> None:
    child(f"open({str(tmp_path / 'begun')!r}, 'x')")
    assert services.claim(RawDataImport, job.pk, "another worker") is not None
    assert do(job).attempt == 1
    assert not (tmp_path / "begun").exists()


def test_a_child_that_is_killed_gives_its_job_back(job: RawDataImport, child: Child) -> None:
    child(DIE)
    assert do(job).state == State.INTERRUPTED
    assert (job.crashes, job.memory_kills) == (1, 0)
    assert "ended by signal SIGKILL" in job.message
    assert Outbox.objects.filter(job_id=job.pk).exists()


def test_a_child_that_is_killed_for_memory_twice_fails(
    job: RawDataImport, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(DIE)
    kills([0, 1, 1, 2], monkeypatch)
    assert "for lack of memory" in do(job).message
    assert (do(job).state, job.failure_code) == (State.FAILED, "out-of-memory")


def test_memory_that_another_process_lacked_is_no_reason(
    job: RawDataImport, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    kills([0, 1], monkeypatch)
    assert (do(job).state, job.memory_kills) == (State.INTERRUPTED, 0)
    assert "SIGSEGV" in job.message


def test_a_child_that_fails_leaves_its_last_words(job: RawDataImport, child: Child) -> None:
    child("raise RuntimeError('what a pity')")
    assert (do(job).state, job.failure_code) == (State.FAILED, "internal")
    assert "what a pity" in LogLine.objects.filter(job_id=job.pk).order_by("id")[0].text


def test_what_a_child_has_started_ends_with_it(job: RawDataImport, child: Child, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    child(f"import subprocess; subprocess.Popen(['sleep', '99'], stdout=open({str(tmp_path / 'alive')!r}, 'w')); {DIE}")
    assert do(job).state == State.INTERRUPTED
    os.set_blocking(alive, True)
    assert os.read(alive, 1) == b"", "the pipe ends with the last process that holds it"
    os.close(alive)


def test_what_a_child_leaves_that_is_killed_is_removed(job: RawDataImport, child: Child) -> None:
    left = scratch_path(job) / "tmp" / "image.elf"
    child(f"import os; os.makedirs({str(left.parent)!r}); open({str(left)!r}, 'x'); {DIE}")
    assert do(job).state == State.INTERRUPTED
    assert not scratch_path(job).exists()


def test_a_child_that_has_ended_its_job_may_finish(
    job: RawDataImport, child: Child, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun, finished = tmp_path / "begun", tmp_path / "finished"
    stop = "import signal; signal.signal(signal.SIGTERM, lambda *_: None)"
    child(f"{stop}; import time; open({str(begun)!r}, 'x'); time.sleep(2); open({str(finished)!r}, 'x')")
    monkeypatch.setattr(runner, "RENEW_SECONDS", 0)

    def end() -> None:
        wait_for(begun.exists, "the child works", 30)
        services.succeed(RawDataImport.objects.get(pk=job.pk))

    thread = meanwhile(end, job)
    assert do(job).state == State.SUCCEEDED
    assert finished.exists(), "it told the watchers and tidied up before the worker lost patience"
    thread.join()


def test_the_end_of_a_job_is_told_though_its_child_was_killed_before_it_could(
    job: RawDataImport, child: Child, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    left = scratch_path(job) / "model.keras"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(ended)!r}).exists(): time.sleep(0.05)"
    child(f"import os; os.makedirs({str(left.parent)!r}); open({str(left)!r}, 'x')\n{wait}\n{DIE}")

    def end_without_a_word() -> None:
        RawDataImport.objects.filter(pk=job.pk).update(state=State.SUCCEEDED, finished_at=timezone.now())
        ended.touch()

    told: list[str] = []
    monkeypatch.setattr(services, "publish_job", lambda job: told.append(job.state))
    thread = meanwhile(end_without_a_word, job)
    do(job)
    thread.join()
    assert told == [State.RUNNING, State.SUCCEEDED]
    assert not scratch_path(job).exists()


def test_a_cancelled_job_ends(job: RawDataImport, child: Child) -> None:
    child(WAIT)
    thread = meanwhile(lambda: services.request_cancel(RawDataImport.objects.get(pk=job.pk)), job)
    assert do(job).state == State.CANCELLED
    thread.join()


def test_a_child_that_is_deaf_is_killed(
    job: RawDataImport, child: Child, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf"
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    child(f"{ignore}; open({str(deaf)!r}, 'x'); {WAIT}")
    ends: list[int] = []
    settle = runner._settle

    def note_and_settle(job: Any, exit_code: int, *args: Any, **options: Any) -> None:
        ends.append(exit_code)
        settle(job, exit_code, *args, **options)

    def cancel() -> None:
        wait_for(deaf.exists, "the child is deaf", 30)
        services.request_cancel(RawDataImport.objects.get(pk=job.pk))

    monkeypatch.setattr(runner, "_settle", note_and_settle)
    thread = meanwhile(cancel, job)
    assert do(job).state == State.CANCELLED
    assert ends == [-signal.SIGKILL]
    thread.join()


def test_a_worker_that_shuts_down_gives_its_job_back(job: RawDataImport, child: Child) -> None:
    child(WAIT)
    thread = meanwhile(runner.shut_down, job)
    assert (do(job).state, job.crashes) == (State.INTERRUPTED, 0)
    thread.join()
    assert do(job).attempt == 1, "a worker that shuts down takes no new job"


def test_a_lease_that_was_lost_ends_the_child_and_leaves_the_next_attempt_alone(
    job: RawDataImport, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(WAIT)
    monkeypatch.setattr(runner, "RENEW_SECONDS", 0)

    def take_over() -> None:
        services.interrupt(RawDataImport.objects.get(pk=job.pk), "The worker was lost.")
        assert services.claim(RawDataImport, job.pk, "another worker") is not None

    thread = meanwhile(take_over, job)
    do(job)
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.attempt, job.worker) == (State.RUNNING, 2, "another worker")


def test_a_real_child_does_the_work(job: RawDataImport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = connection.settings_dict
    monkeypatch.setenv("DATABASE_URL", os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{settings['NAME']}")
    RawDataImport.objects.filter(pk=job.pk).update(location=str(tmp_path))
    assert (do(job).state, job.attempt) == (State.FAILED, 1)
    assert "no recorded words" in job.failure_reason
    close_old_connections()


def test_a_child_ends_with_its_worker(job: RawDataImport, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = connection.settings_dict
    monkeypatch.setenv("DATABASE_URL", os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{settings['NAME']}")
    child = runner._spawn(job)
    assert child.stdin is not None
    # The kernel closes it when the worker dies, however that happens.
    child.stdin.close()
    assert child.wait(20) == -signal.SIGKILL
