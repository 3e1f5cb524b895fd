"""Static files: hashed, compressed and cached for ever; Plotly's script comes from its wheel."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage


class CompressedHashedStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hash the imports of ES modules too, so that a new release never mixes with a cached old one."""

    support_js_module_import_aggregation = True

    def url_converter(
        self, name: str, hashed_files: Any, template: str | None = None
    ) -> Callable[[re.Match[str]], str]:
        """Leave alone what names no file: types in comments, such as htmx's `import("../htmx").HtmxInternalApi`."""
        convert = super().url_converter(name, hashed_files, template)
        return lambda match: convert(match) if PurePosixPath(match["url"]).suffix else match["matched"]


class PlotlyFinder(BaseFinder):
    """Find `plotly/plotly.min.js` in the `plotly` package without importing it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        package = importlib.util.find_spec("plotly")
        assert package is not None
        assert package.origin is not None
        self.storage = FileSystemStorage(location=str(Path(package.origin).parent / "package_data"))
        self.storage.prefix = "plotly"  # type: ignore[attr-defined]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Return the absolute path of `plotly/plotly.min.js`."""
        found = self.storage.path("plotly.min.js") if path == "plotly/plotly.min.js" else None
        return ([found] if found else []) if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        """Name the one file that is served."""
        yield "plotly.min.js", self.storage
