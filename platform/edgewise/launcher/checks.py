"""`./edgewise lint`: every check of the source that needs no running engine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewise.launcher.paths import CHECKOUT


@dataclass(frozen=True)
class Check:
    """One tool.

    Args:
        name: as people call it.
        command: checks; the first part is a program of the environment, or "python".
        fix: the command that mends what it can, where there is one.
    """

    name: str
    command: tuple[str, ...]
    fix: tuple[str, ...] | None = None


CHECKS = (
    Check("ruff check", ("ruff", "check", "."), ("ruff", "check", "--fix", ".")),
    Check("ruff format", ("ruff", "format", "--check", "."), ("ruff", "format", ".")),
    Check("mypy", ("mypy", "--strict")),
    Check("import walls", ("lint-imports",)),
    Check(
        "templates",
        ("djlint", "--check", "frontend/templates"),
        ("djlint", "--reformat", "--quiet", "frontend/templates"),
    ),
    Check("migrations", ("python", "manage.py", "makemigrations", "--check", "--dry-run")),
    Check(
        "docker-compose.yml",
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
    ),
    Check("Dockerfile", ("hadolint", "Dockerfile")),
)


def run_checks(environment: Mapping[str, str], *, fix: bool = False) -> bool:
    """Run all checks, print one line for each and the output of those that fail; return whether all passed.

    Args:
        environment: Django's; its addresses are never connected to.
        fix: let the tools that can mend what they find do so first.
    """
    if fix:
        for check in CHECKS:
            if check.fix is not None:
                _run(check.fix, environment)
    results = [_passes(check, environment) for check in CHECKS]  # all of them: one failure must not hide the others
    return all(results)


def _passes(check: Check, environment: Mapping[str, str]) -> bool:
    begin = time.monotonic()
    completed = _run(check.command, environment)
    passed = completed.returncode == 0
    print(f"{'ok' if passed else 'failed':8}{check.name:20}{time.monotonic() - begin:5.1f} s", flush=True)
    if not passed:
        print(completed.stdout.rstrip(), flush=True)
    return passed


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / command[0]
    return subprocess.run(
        [program, *command[1:]],
        cwd=CHECKOUT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
