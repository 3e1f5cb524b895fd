"""`lint` runs every check whatever fails before it; `doctor` fails only for what is broken."""

from __future__ import annotations

import os

import pytest

from edgewise.launcher import checks
from edgewise.launcher.checks import Check, run_checks
from edgewise.launcher.doctor import Finding, State, report


def python(code: str) -> tuple[str, ...]:
    return ("python", "-c", code)


def test_one_failed_check_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Check("bad", python("print('line 3: wrong'); raise SystemExit(1)"))
    good = Check("good", python("print('never shown')"))
    monkeypatch.setattr(checks, "CHECKS", (bad, good))
    assert not run_checks(os.environ)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["failed", "bad"], ["line", "3:"], ["ok", "good"]]


def test_only_what_is_broken_fails_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding("Web", State.IDLE, "", "./edgewise up"), Finding("Chromium", State.ABSENT, "for tests alone")]
    assert report(findings) == 0
    assert report([*findings, Finding("Home", State.BROKEN, "not writable", "give it to your user")]) == 1
    assert "not writable  → give it to your user" in capsys.readouterr().out
