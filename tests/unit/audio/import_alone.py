"""Import, and print the code of the first problem and the peak of memory: `… import_alone ARCHIVE FOLDER`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from workers.engine.errors import EngineError
from workers.engine.ingest import ingest


def main(archive: Path, folder: Path) -> None:
    """Print `[code, bytes]`; the code is empty where all went well."""
    try:
        found = ingest(archive, folder, lambda files, share: None, lambda: None)
        code = found.problems[0].code if found.problems else ""
    except EngineError as error:
        code = error.code
    # Not what `getrusage` says: a new process takes the peak of its parent over.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(json.dumps([code, 1024 * int(peak[1])]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
