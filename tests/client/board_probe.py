"""Drive a board by the real client: a script for the client's environment, never imported by the tests.

    python board_probe.py RUNNER FOLDER PORT DRIVE SESSIONS.npz ANSWERS.npz

RUNNER is a class of the client, PORT its serial port, DRIVE the folder that it copies the image to. Each array of the
sessions is audio (clips, samples); every one but the last is followed by opening the port anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

import nengo_edge
import numpy as np
import packaging.version  # noqa: F401 - the client uses it and does not import it


def main(runner_name: str, folder: str, port: str, drive: str, sessions: str, answers: str) -> None:
    """Flash the board and let it hear each session."""
    with patch("time.sleep"):  # the client waits for 10 s until a board is programmed
        runner = getattr(nengo_edge, runner_name)(Path(folder), Path(port), Path(drive))
    found = {}
    for name, audio in np.load(sessions).items():
        with runner:
            found[name] = runner.run(audio)
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
