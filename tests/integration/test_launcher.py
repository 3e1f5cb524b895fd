"""The launcher with the real engines: they start for whoever runs this, and survive every kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg2  # type: ignore[import-untyped]
import pytest
import redis

from edgewise.launcher import processes
from edgewise.launcher.console import Failure
from edgewise.launcher.engines import Running, check_database, check_redis, engines_running
from edgewise.launcher.paths import CHECKOUT, Home
from edgewise.launcher.postgresql import PostgreSQL
from edgewise.launcher.supervisor import Supervisor
from edgewise.launcher.testing import remove_home


@pytest.fixture(autouse=True)
def embedded_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests themselves run on engines named in the environment; here the launcher shall start its own."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
def home() -> Iterator[Home]:
    home = Home(Path(tempfile.mkdtemp(prefix="edgewise-test-", dir="/tmp")))
    home.create()
    yield home
    remove_home(home)


@contextlib.contextmanager
def running_engines(home: Home) -> Iterator[tuple[Supervisor, Running]]:
    with Supervisor(home) as supervisor, engines_running(home, supervisor, "manage") as running:
        yield supervisor, running


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def recorded_pid(home: Home, name: str) -> int:
    return int(json.loads((home.run / "processes" / f"{name}.json").read_text())["pid"])


def test_engines_start_and_keep_what_was_written(home: Home) -> None:
    with running_engines(home) as (_, running):
        query(running.database_url, "CREATE TABLE note (text text)")
        query(running.database_url, "INSERT INTO note VALUES ('kept')")
        redis.Redis.from_url(running.redis_url).set("note", "kept")
    with running_engines(home) as (_, running):
        assert query(running.database_url, "SELECT text FROM note") == [("kept",)]
        assert redis.Redis.from_url(running.redis_url).get("note") == b"kept"
        assert query(running.database_url, "SHOW listen_addresses") == [("",)]
        assert query(running.database_url, "SHOW fsync") == [("on",)]
        assert query(
            running.database_url, "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ) == [(False, True)]


def test_killed_engines_come_back_with_their_data(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with running_engines(home) as (supervisor, running):
        query(running.database_url, "CREATE TABLE note AS SELECT 'kept' AS text")
        redis.Redis.from_url(running.redis_url).set("note", "kept")
        for name in ("postgres", "redis"):
            before = recorded_pid(home, name)
            os.kill(before, signal.SIGKILL)
            while recorded_pid(home, name) == before:
                supervisor.wait(1.0)

        def answers() -> bool:
            supervisor.wait(0.05)
            try:
                check_database(running.database_url)
                check_redis(running.redis_url)
            except Failure:
                return False
            return True

        assert processes.wait_until(answers, 30.0)
        assert query(running.database_url, "SELECT text FROM note") == [("kept",)]
        assert redis.Redis.from_url(running.redis_url).get("note") == b"kept"
    assert "PostgreSQL was killed by SIGKILL; starting it again" in capsys.readouterr().err


def test_a_killed_launcher_leaves_nothing_and_the_next_one_starts(home: Home) -> None:
    with shell(home, "import signal; print('up', flush=True); signal.pause()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        children = {name: recorded_pid(home, name) for name in ("postgres", "redis")}
        births = {pid: processes.birth_of(pid) for pid in children.values()}
        assert None not in births.values()
        process.kill()
    assert processes.wait_until(lambda: all(processes.birth_of(pid) != birth for pid, birth in births.items()), 20.0)
    with shell(home, "print('again')") as process:
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "again\n")


def test_a_stale_lock_of_postgresql_does_not_block(home: Home) -> None:
    with running_engines(home):
        pass
    # As after a crash and a restart of the machine: the number now belongs to another program of the same user.
    lock = PostgreSQL(home).data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n{int(time.time())}\n5432\n\n\n")
    with running_engines(home) as (_, running):
        assert query(running.database_url, "SELECT 1") == [(1,)]


def test_a_second_command_uses_the_engines_of_the_first_which_waits_for_it(home: Home) -> None:
    with shell(home, "print('up', flush=True); input()") as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stderr is not None
        assert first.stdout.readline() == "up\n"
        with running_engines(home) as (_, running):
            assert running.pid == first.pid
            first.stdin.write("\n")
            first.stdin.flush()
            assert any("Waiting for another command" in line for line in first.stderr)
            assert query(running.database_url, "SELECT 1") == [(1,)]
        assert first.wait(30) == 0


def test_a_home_that_only_we_can_enter_works_too(tmp_path: Path) -> None:
    """For root PostgreSQL's files go elsewhere, as below /root; for anybody else this is the common case."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = Home(closed / "home")
    home.create()
    try:
        with running_engines(home) as (_, running):
            assert query(running.database_url, "SELECT 1") == [(1,)]
        assert home.postgres.is_symlink() == (os.geteuid() == 0)
        with running_engines(home) as (_, running):
            assert query(running.database_url, "SELECT 1") == [(1,)]
    finally:
        remove_home(home)


def test_a_full_disk_is_told_before_the_engines_start(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=12_000_000))
    with pytest.raises(Failure, match=r"is full: 12 MB are free, and the engines need 300 MB"):  # noqa: SIM117
        with running_engines(home):
            pass


def test_a_path_too_long_for_a_socket_works_too(home: Home) -> None:
    deep = Home(home.path / ("d" * 100))
    deep.create()
    try:
        with running_engines(deep) as (_, running):
            assert query(running.database_url, "SELECT 1") == [(1,)]
            assert redis.Redis.from_url(running.redis_url).ping()
    finally:
        remove_home(deep)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DATABASE_URL", "postgresql://ada:secret@127.0.0.1:1/edgewise"),
        ("REDIS_URL", "redis://:secret@127.0.0.1:1/0"),
    ],
)
def test_external_engines_that_are_down_are_one_line_without_the_password(
    home: Home, name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, address)
    with pytest.raises(Failure, match=rf"of {name} \(.*@?127.0.0.1:1/.*\) cannot be used: .*refused") as failure:  # noqa: SIM117
        with running_engines(home):
            pass
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_another_kind_of_database_is_refused_in_one_line() -> None:
    with pytest.raises(Failure, match=r"DATABASE_URL \(mysql://db/x\) must begin with postgresql:"):
        check_database("mysql://ada:secret@db/x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EDGEWISE_MAX_UPLOAD", "huge"), ("EDGEWISE_SIGNUP", "maybe"), ("EDGEWISE_QUEUE_LIMIT", "0"),
        ("EDGEWISE_STORAGE_URL", "ftp:/x"), ("EDGEWISE_BACKEND", "torch"), ("DATABASE_URL", "mysql://db/x"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: str) -> None:
    command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--check"]
    addresses = {"DATABASE_URL": "postgresql:///edgewise", "REDIS_URL": "redis://localhost"}
    environment = {**os.environ, **addresses, name: value}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert completed.returncode == os.EX_CONFIG
    assert completed.stderr.startswith(name)
    assert completed.stderr.count("\n") == 1


@contextlib.contextmanager
def shell(home: Home, code: str) -> Iterator[subprocess.Popen[str]]:
    """A launcher of its own, in the environment that runs this test, with Python code in Django's shell."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")},
        "EDGEWISE_HOME": str(home.path),
        "PYTHONPATH": str(CHECKOUT / "platform"),
    }
    home.venv.unlink(missing_ok=True)
    home.venv.symlink_to(sys.prefix)
    command = [sys.executable, "-m", "edgewise.launcher", "manage", "shell", "-v", "0", "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
