"""Import, and print the code of the first problem and the peak of memory: `… import_alone ARCHIVE FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from workers.bench.measure import peak_resident_bytes
from workers.engine.errors import EngineError
from workers.engine.ingest import ingest


def main(archive: Path, folder: Path) -> None:
    """Print `[code, bytes]`; the code is empty where all went well."""
    try:
        found = ingest(archive, folder, lambda files, share: None, lambda: None)
        code = found.problems[0].code if found.problems else ""
    except EngineError as error:
        code = error.code
    print(json.dumps([code, peak_resident_bytes()]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
