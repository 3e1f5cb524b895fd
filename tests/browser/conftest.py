"""A whole installation for the browser: the web and all workers as processes, on the tests' database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.browser.world import PASSWORD, World
from tests.installation import free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("EDGEWISE_CHROMIUM", "/usr/bin/chromium")
# Chromium's own housekeeping would talk to hosts that a closed network refuses.
ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
CELERY = [sys.executable, "-m", "celery", "-A", "edgewise"]
PATIENCE_SECONDS = 60
MOST_MILLISECONDS = 15_000
"""For an element to appear, or a page to load, on a busy machine."""
SignIn = Callable[..., Response | None]
"""Open a page as somebody: page, e-mail, address."""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of all processes: a database and a home of their own."""
    address = urlsplit(os.environ["DATABASE_URL"])
    name = f"edgewise_browser_{os.getpid()}"
    paths = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    with closing(psycopg2.connect(address.geturl())) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        yield {
            **os.environ,
            "DATABASE_URL": address._replace(path=f"/{name}").geturl(),
            "EDGEWISE_HOME": str(tmp_path_factory.mktemp("home")),
            "PYTHONPATH": paths,
        }
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def site(environment: dict[str, str]) -> Iterator[str]:
    """The address of the web, whose static files are hashed as in production."""
    for command in ("migrate", "collectstatic"):
        arguments = [sys.executable, "manage.py", command, "--noinput", "--verbosity", "0"]
        subprocess.run(arguments, cwd=ROOT, env=environment, check=True)
    port = free_port()
    server = [sys.executable, "-m", "uvicorn", "edgewise.asgi:application", "--port", str(port)]
    server += ["--log-level", "error", "--timeout-graceful-shutdown", "1"]
    address = f"http://localhost:{port}"
    with _running(server, environment):
        wait_for(lambda: _get(f"{address}/healthz") is not None, "the web answers", PATIENCE_SECONDS)
        yield address


@pytest.fixture(scope="session")
def workers(environment: dict[str, str], site: str) -> Iterator[None]:
    """Workers of all queues, which take work when this returns."""
    schedule = Path(environment["EDGEWISE_HOME"], "beat-schedule")
    arguments = ["--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    commands = [
        [*CELERY, "worker", "-Q", queue, "-n", f"{queue}@browser-tests", "--concurrency", "1", *arguments]
        for queue in ("train", "light", "maintenance")
    ]
    commands.append([*CELERY, "beat", "--schedule", str(schedule), "--loglevel", "WARNING"])
    with ExitStack() as processes:
        for command in commands:
            processes.enter_context(_running(command, environment))
        wait_for(lambda: _workers_are_ready(site), "workers take work", PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session")
def world(environment: dict[str, str], site: str) -> World:
    """People, data and runs in every state. What a test changes, the tests after it see."""
    command = [sys.executable, "-m", "tests.browser.world"]
    built = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return World(**json.loads(built.stdout))


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Browser]]:
    """Start Chromium, with more arguments where a test needs them; it ends with the tests."""
    expect.set_options(timeout=MOST_MILLISECONDS)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright, ExitStack() as browsers:

        def launch(*more: str) -> Browser:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *root, *more])
            browsers.callback(chromium.close)
            return chromium

        yield launch


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Browser]) -> Browser:
    """Chromium."""
    return launch()


@pytest.fixture
def troubles() -> list[str]:
    """What the browser complained about; a test that ends with troubles fails."""
    return []


@pytest.fixture
def page(browser: Browser, site: str, troubles: list[str]) -> Iterator[Page]:
    """An empty page at desktop size."""
    with page_of(browser, site, troubles) as page:
        yield page


@pytest.fixture(scope="session")
def sign_in() -> SignIn:
    """Open a page as somebody, who signed in by the form at first and comes with the cookies of then."""
    cookies: dict[str, Any] = {}

    def go(page: Page, email: str, address: str = "/datasets/") -> Response | None:
        if email not in cookies:
            cookies[email] = _cookies_of(email, page.context)
        page.context.add_cookies(cookies[email])
        return page.goto(address)

    return go


def _cookies_of(email: str, context: BrowserContext) -> Any:
    """Sign in by the form, in a tab of its own."""
    page = context.new_page()
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/datasets/")
    page.close()
    return context.cookies()


@contextmanager
def page_of(browser: Browser, site: str, troubles: list[str]) -> Iterator[Page]:
    """An empty page at desktop size of any browser; nothing may have troubled it at the end."""
    context = browser.new_context(base_url=site, accept_downloads=True, viewport={"width": 1280, "height": 900})
    yield _watched(context, troubles)
    context.close()
    assert troubles == []


def _watched(context: BrowserContext, troubles: list[str]) -> Page:
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        # Refused forms answer 4xx on purpose, and Chromium logs each such answer.
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            troubles.append(f"{page.url}: {message.text}")

    page.on("console", note)
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    page.set_default_timeout(MOST_MILLISECONDS)
    return page


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A process that ends with the block, first politely."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _get(address: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def _workers_are_ready(site: str) -> bool:
    state = _get(f"{site}/readyz")
    return state is not None and bool(state["checks"]["workers"]["ok"])
