"""The browser of the browser tests: Debian's Chromium, installed where we may."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from edgewise.launcher.console import run_step

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> Path | None:
    """The Chromium of this machine, None when there is none."""
    return next((Path(path) for path in map(shutil.which, NAMES) if path), None)


def ensure_browser() -> Path | str:
    """Return the browser, installed by Debian's package manager if need be, or why there is none."""
    browser = find_browser()
    if browser is not None:
        return browser
    if shutil.which("apt-get") is None:
        return "there is no Chromium, and it is installed by itself on Debian alone: install it by hand"
    if os.geteuid() != 0:
        return "there is no Chromium, and only root may install it: `sudo apt-get install chromium`"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run_step("Updating Debian's list of packages", ["apt-get", "update"], environment=environment)
        run_step(
            "Installing Chromium",
            ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
            environment=environment,
        )
    except subprocess.CalledProcessError as error:
        reason = error.output.strip().splitlines()[-1:] or ["no reason given"]
        return f"Chromium could not be installed ({reason[0]})"
    return find_browser() or "Debian's package `chromium` brought no program of that name"
