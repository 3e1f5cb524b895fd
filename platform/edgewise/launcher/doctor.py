"""`./edgewise doctor`: each part with its version, its state, and what to do about it.

It mends nothing itself, and also works where the environment is missing.
"""

from __future__ import annotations

import enum
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from edgewise.launcher.browser import find_browser
from edgewise.launcher.console import Failure
from edgewise.launcher.engines import (
    LEAST_FREE_BYTES,
    Running,
    check_database,
    check_redis,
    child_environment,
    running_now,
    setting,
)
from edgewise.launcher.environment import environment_is_current
from edgewise.launcher.paths import CHECKOUT, Home
from edgewise.launcher.postgresql import wheel_binaries
from edgewise.launcher.redis_server import find_binary, version_of

TIMEOUT_SECONDS = 5


class State(enum.Enum):
    """How a part is."""

    OK = "ok"
    IDLE = "not running"
    ABSENT = "not there"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One part: its state, its version or place, and what to do."""

    part: str
    state: State
    detail: str
    remedy: str = ""


def examine(home: Home) -> list[Finding]:
    """Look at every part of this installation."""
    running = running_now(home)
    findings = [_python(), _environment(home), _disk(home), _secrets(home)]
    if environment_is_current(home):
        readiness = _readiness(running)
        findings += [
            _postgresql(running),
            _redis(home, running),
            _migrations(home, running),
            _web(running, readiness),
            _workers(running, readiness),
        ]
    return [*findings, _browser(), _compiler()]


def report(findings: list[Finding]) -> int:
    """Print the findings; return the exit status: 1 if a part is broken."""
    for finding in findings:
        remedy = f"  → {finding.remedy}" if finding.remedy else ""
        print(f"{finding.part:14}{finding.state.value:13}{finding.detail}{remedy}")
    return int(any(finding.state is State.BROKEN for finding in findings))


def _python() -> Finding:
    return Finding("Python", State.OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _environment(home: Home) -> Finding:
    if environment_is_current(home):
        return Finding("Environment", State.OK, f"{home.venv} holds requirements.lock")
    if home.venv.exists():
        return Finding(
            "Environment", State.ABSENT, "does not hold requirements.lock", "any command brings it up to date"
        )
    return Finding("Environment", State.ABSENT, "not made yet", "any command, such as ./edgewise up, makes it")


def _disk(home: Home) -> Finding:
    if not os.access(home.path, os.W_OK | os.X_OK):
        remedy = "give it to your user, or set EDGEWISE_HOME to a folder of yours"
        return Finding("Home", State.BROKEN, f"{home.path} is not writable", remedy)
    free = shutil.disk_usage(home.path).free
    detail = f"{home.path}, {free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return Finding("Home", State.BROKEN, detail, "free some space")
    return Finding("Home", State.OK, detail)


def _secrets(home: Home) -> Finding:
    open_paths = [path for path in (home.secrets, *home.secrets.glob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_paths:
        return Finding("Secrets", State.BROKEN, f"others may read {open_paths[0]}", f"chmod -R go= {home.secrets}")
    return Finding("Secrets", State.OK, "readable for their owner alone")


def _postgresql(running: Running | None) -> Finding:
    address = setting("DATABASE_URL")
    if address:
        return _probe("PostgreSQL", "DATABASE_URL", lambda: check_database(address))
    try:
        postgres = wheel_binaries() / "postgres"
    except Failure as failure:
        return Finding("PostgreSQL", State.BROKEN, str(failure))
    version = subprocess.run([postgres, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    if running is None:
        return Finding("PostgreSQL", State.IDLE, version)
    return _probe("PostgreSQL", version, lambda: check_database(running.database_url))


def _redis(home: Home, running: Running | None) -> Finding:
    address = setting("REDIS_URL")
    if address:
        return _probe("Redis", "REDIS_URL", lambda: check_redis(address))
    binary = find_binary(home)
    if binary is None:
        return Finding("Redis", State.ABSENT, "no server on this machine", "the first start tries to install one")
    version = f"{'.'.join(map(str, version_of(binary)))} ({binary})"
    if running is None:
        return Finding("Redis", State.IDLE, version)
    return _probe("Redis", version, lambda: check_redis(running.redis_url))


def _probe(part: str, detail: str, probe: Callable[[], None]) -> Finding:
    try:
        probe()
    except Failure as failure:
        return Finding(part, State.BROKEN, str(failure))
    return Finding(part, State.OK, detail)


def _migrations(home: Home, running: Running | None) -> Finding:
    if running is None:
        return Finding("Migrations", State.IDLE, "known only while the database runs")
    completed = subprocess.run(
        [sys.executable, CHECKOUT / "manage.py", "migrate", "--check"],
        env=child_environment(home, running),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if completed.returncode:
        return Finding("Migrations", State.BROKEN, "not all are applied", "./edgewise manage migrate")
    return Finding("Migrations", State.OK, "all are applied")


def _readiness(running: Running | None) -> dict[str, dict[str, str]] | None:
    """What the web says about itself; None when it gives no answer."""
    if running is None or running.address is None:
        return None
    request = urllib.request.Request(f"{running.address}/readyz")  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            body = response.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return None
    try:
        checks: dict[str, dict[str, str]] = json.loads(body)["checks"]
    except (ValueError, KeyError):
        return None
    return checks


def _web(running: Running | None, readiness: dict[str, dict[str, str]] | None) -> Finding:
    if running is None or running.address is None:
        return Finding("Web", State.IDLE, "", "./edgewise up")
    if readiness is None:
        return Finding("Web", State.BROKEN, f"no answer at {running.address}", "see logs/web.log in the home")
    return Finding("Web", State.OK, running.address)


def _workers(running: Running | None, readiness: dict[str, dict[str, str]] | None) -> Finding:
    if running is None or not running.has_workers or readiness is None:
        return Finding("Workers", State.IDLE, "", "./edgewise up")
    problem = readiness.get("workers", {}).get("problem")
    if problem:
        return Finding("Workers", State.BROKEN, problem, "see logs/train.log and logs/light.log in the home")
    return Finding("Workers", State.OK, "all queues are served")


def _browser() -> Finding:
    browser = find_browser()
    if browser is None:
        return Finding("Chromium", State.ABSENT, "for the browser tests alone", "apt-get install chromium")
    return Finding("Chromium", State.OK, str(browser))


def _compiler() -> Finding:
    compiler = next((path for path in map(shutil.which, ("cc", "gcc", "clang")) if path), None)
    if compiler is None:
        return Finding(
            "C compiler", State.ABSENT, "artifacts in C are compiled by the one that comes along", "apt-get install gcc"
        )
    return Finding("C compiler", State.OK, compiler)
