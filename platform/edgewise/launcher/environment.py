"""The environment: a virtual environment with exactly the packages of a lock, made once and then only looked at.

A stamp inside it tells what it holds. It says "installing" while packages are put in and names the locks only when all
are there, so that an interrupted installation is never taken for a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from edgewise.launcher.console import Failure, run_step, say
from edgewise.launcher.paths import CHECKOUT, Home, locked, write_whole

RUNTIME_LOCK = CHECKOUT / "requirements.lock"
# A superset of the runtime lock: an environment made from it serves every command.
DEVELOPMENT_LOCK = CHECKOUT / "requirements-dev.lock"
CLIENT_LOCK = CHECKOUT / "tests" / "client" / "requirements.lock"

# Less than any installation step may want next.
FULL_DISK_BYTES = 10_000_000
_DISK_FULL = r"No space left on device|Disk quota exceeded"

# What pip and uv print, and what it means to somebody who has never heard of either.
_CAUSES = (
    (
        _DISK_FULL,
        "the disk is full: free some space (about 3 GB are needed) and start again",
    ),
    (
        r"no wheels? with a matching|no wheels are available|not a supported wheel|only has wheels for",
        "a package has no wheel for this platform ({platform}): use Linux on x86-64 or aarch64, or macOS on arm64, "
        "with Python 3.11 to 3.13",
    ),
    (
        r"dns error|error sending request|[Cc]onnection refused|Could not connect|Temporary failure in name resolution"
        r"|NewConnectionError|Network is unreachable|operation timed out|Failed to fetch|Network connectivity"
        r"|from versions: none",
        "the package index cannot be reached: connect this machine, or name a mirror with PIP_INDEX_URL and "
        "UV_DEFAULT_INDEX, and start again",
    ),
    (
        r"Hash mismatch",
        "a downloaded package is not the one that was locked: clear the cache of packages, or ask who runs your mirror",
    ),
)


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / "bin" / "python"


def ensure_environment(home: Home, *, development: bool) -> Path:
    """Make sure that the home's environment holds the locked packages, and return its interpreter."""
    locks = [RUNTIME_LOCK, DEVELOPMENT_LOCK] if development else [RUNTIME_LOCK]
    if not _holds(home.venv, locks):
        with locked(home.run / "environment.lock"):
            if not _holds(home.venv, locks):  # another start may have made it while this one waited
                _install(home, home.venv, locks)
    return python_of(home.venv)


def environment_is_current(home: Home) -> bool:
    """Whether the home's environment holds the packages of the runtime lock."""
    return _holds(home.venv, [RUNTIME_LOCK])


def ensure_client_environment(home: Home) -> Path:
    """Make sure that the environment of the real client is there, and return its interpreter."""
    with locked(home.run / "environment.lock"):
        if not _holds(home.client_venv, [CLIENT_LOCK]):
            _install(home, home.client_venv, [CLIENT_LOCK])
    return python_of(home.client_venv)


def install_aside(home: Home, package: str, *, python_version: str, target: Path) -> None:
    """Install the locked version of one package into a folder, as another Python would get it.

    For programs that come in wheels but need no Python.
    """
    lock = RUNTIME_LOCK.read_text(encoding="utf-8")
    entry = re.search(rf"^({package}==\S+)[^\\]*((?:\\\n +--hash=\S+ *)+)", lock, re.MULTILINE)
    assert entry is not None, f"{package} is not in {RUNTIME_LOCK}"
    requirement = home.run / f"{package}.txt"
    write_whole(requirement, f"{entry[1]} {entry[2]}\n")
    new = target.with_suffix(".new")
    _run(
        home,
        f"Installing {package}",
        [
            *(_ensure_uv(home), "pip", "install", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
            *("--python-version", python_version, "--target", new, "--requirement", requirement),
        ],
    )
    new.rename(target)


def _holds(venv: Path, locks: list[Path]) -> bool:
    stamp = _read_stamp(venv)
    return (
        stamp.get("python") == _python_version()
        and stamp.get("checkout") == str(CHECKOUT)
        and all(stamp.get(lock.name) == _digest(lock) for lock in locks)
        and python_of(venv).exists()
    )


def _install(home: Home, venv: Path, locks: list[Path]) -> None:
    """Bring a virtual environment to the last of the locks; the others are contained in it."""
    uv = _ensure_uv(home)
    stamp = _read_stamp(venv)
    if stamp.get("state") == "installing" or stamp.get("python", _python_version()) != _python_version():
        say("The last installation was interrupted or was for another Python: starting it again from nothing.")
        _make_venv(venv, "--without-pip", "--clear")
    elif not python_of(venv).exists():
        _make_venv(venv, "--without-pip", "--clear")

    identity = {"python": _python_version(), "checkout": str(CHECKOUT)}
    write_whole(stamp_path(venv), json.dumps({**identity, "state": "installing"}))
    output = _run(
        home,
        f"Installing the packages of {locks[-1].name}",
        [uv, "pip", "sync", "--require-hashes", "--python", python_of(venv), locks[-1]],
    )
    _put_checkout_on_path(venv)
    write_whole(stamp_path(venv), json.dumps({**identity, **{lock.name: _digest(lock) for lock in locks}}))
    summary = re.search(r"Installed .*", output)
    say(summary.group(0) + "." if summary else "All packages were there already.")


def _ensure_uv(home: Home) -> Path:
    uv = home.bootstrap / "bin" / "uv"
    if not uv.exists():
        # Made aside and then renamed, so that an interruption leaves no half of it. uv is a binary: it may be moved.
        new = home.bootstrap.with_suffix(".new")
        _make_venv(new, "--clear")
        _run(home, "Installing the package manager uv", [python_of(new), "-m", "pip", "install", "uv"])
        new.rename(home.bootstrap)
    return uv


def _make_venv(venv: Path, *options: str) -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "venv", *options, str(venv)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if completed.returncode == 0:
        return
    if "ensurepip is not available" in completed.stdout:
        version = _python_version()
        raise Failure(
            f"Python {version} here cannot make virtual environments (ensurepip is missing): install it, on Debian and "
            f"Ubuntu with `apt-get install python{version}-venv`, and start again."
        )
    raise Failure(f"Cannot make the virtual environment {venv}: {_cause(completed.stdout, venv.parent)}.")


def _run(home: Home, title: str, command: list[str | Path]) -> str:
    log = home.logs / "install.log"
    try:
        output = run_step(title, command)
    except subprocess.CalledProcessError as error:
        write_whole(log, error.output)
        raise Failure(f"{title} failed: {_cause(error.output, home.path)} (all of the output: {log}).") from None
    write_whole(log, output)
    return output


def _cause(output: str, folder: Path) -> str:
    """The cause behind the output of a failed installation into the folder, in words for people; else its last line."""
    for pattern, words in _CAUSES:
        # Some tools do not hand on why they failed; a full disk shows by itself.
        is_full = pattern is _DISK_FULL and shutil.disk_usage(folder).free < FULL_DISK_BYTES
        if is_full or re.search(pattern, output):
            return words.format(platform=f"{platform.system()} {platform.machine()}")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _put_checkout_on_path(venv: Path) -> None:
    """Make `edgewise`, the apps and the workers importable.

    A path file does what an editable install would, without building anything. `platform/` is the folder that holds
    the package `edgewise`; path files append, so that the standard library's `platform` still comes first.
    """
    scheme = sysconfig.get_path("purelib", "venv", {"base": str(venv), "platbase": str(venv)})
    write_whole(Path(scheme) / "edgewise.pth", f"{CHECKOUT / 'platform'}\n{CHECKOUT}\n", mode=0o644)


def stamp_path(venv: Path) -> Path:
    """The file that tells what an environment holds; written whenever its packages change."""
    return venv / "edgewise-stamp.json"


def _read_stamp(venv: Path) -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(stamp_path(venv).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return stamp


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def enter_environment(python: Path, arguments: list[str]) -> None:
    """Replace this process by stage 2: the same command inside the environment."""
    # Without compiled modules each of our processes would take seconds longer to start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execv(python, [str(python), "-m", "edgewise.launcher", *arguments])  # noqa: S606 - no shell is wanted
