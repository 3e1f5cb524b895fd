"""A whole installation for the browser: the web and all workers as processes, on the tests' database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.browser.world import PASSWORD, World, build_world

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("EDGEWISE_CHROMIUM", "/usr/bin/chromium")
# Chromium's own housekeeping would talk to hosts that a closed network refuses.
ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
CELERY = [sys.executable, "-m", "celery", "-A", "edgewise"]
PATIENCE_SECONDS = 60


@pytest.fixture(scope="session")
def environment(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of all processes: the tests' database and a home of its own."""
    from django.db import connection

    database = urlsplit(os.environ["DATABASE_URL"])._replace(path="/" + connection.settings_dict["NAME"]).geturl()
    paths = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    home = str(tmp_path_factory.mktemp("home"))
    return {**os.environ, "DATABASE_URL": database, "EDGEWISE_HOME": home, "PYTHONPATH": paths}


@pytest.fixture(scope="session")
def site(environment: dict[str, str]) -> Iterator[str]:
    """The address of the web, whose static files are hashed as in production."""
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env=environment, check=True)
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "edgewise.asgi:application", "--port", str(port)]
    command += ["--log-level", "error", "--timeout-graceful-shutdown", "1"]
    with _running(command, environment) as web:
        _wait_until(lambda: web.poll() is None and _answers(port), "the web did not start")
        yield f"http://localhost:{port}"


@pytest.fixture(scope="session")
def workers(environment: dict[str, str], django_db_blocker: Any) -> Iterator[None]:
    """Workers of all queues, which take work when this returns."""
    schedule = Path(environment["EDGEWISE_HOME"], "beat-schedule")
    arguments = ["--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    commands = [
        [*CELERY, "worker", "-Q", queue, "-n", f"{queue}@browser-tests", "--concurrency", "1", *arguments]
        for queue in ("train", "light", "maintenance")
    ]
    commands.append([*CELERY, "beat", "--schedule", str(schedule), "--loglevel", "WARNING"])
    started = [_running(command, environment) for command in commands]
    try:
        with django_db_blocker.unblock():
            from edgewise.jobs.context import idle_queues

            _wait_until(lambda: not idle_queues(), "the workers did not start")
        yield
    finally:
        for process in started:
            process.__exit__(None, None, None)


@pytest.fixture(scope="session")
def world(django_db_setup: None, django_db_blocker: Any) -> World:
    """People, data and runs in every state, for tests that only look."""
    with django_db_blocker.unblock():
        return build_world()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, which nothing else runs on: Django may use the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *root])
        yield chromium
        chromium.close()


@pytest.fixture
def troubles() -> list[str]:
    """What the browser complained about; a test that ends with troubles fails."""
    return []


@pytest.fixture
def page(browser: Browser, site: str, troubles: list[str]) -> Iterator[Page]:
    """An empty page at desktop size."""
    context = browser.new_context(base_url=site, accept_downloads=True, viewport={"width": 1280, "height": 900})
    yield _watched(context, troubles)
    context.close()
    assert troubles == []


@pytest.fixture
def sign_in() -> Callable[[Page, str], None]:
    """Sign a person in."""

    def go(page: Page, email: str) -> None:
        page.goto("/accounts/login/")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/datasets/")

    return go


def _watched(context: BrowserContext, troubles: list[str]) -> Page:
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        # Refused forms answer 4xx on purpose, and Chromium logs each such answer.
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            troubles.append(f"{page.url}: {message.text}")

    page.on("console", note)
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    page.set_default_timeout(15_000)
    return page


class _running:
    """A process that ends with its block, first politely."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _wait_until(holds: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.1)
