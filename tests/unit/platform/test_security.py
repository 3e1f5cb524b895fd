"""Who may compile WebAssembly: one worker, and no page."""

from __future__ import annotations

from pathlib import Path
from wsgiref.headers import Headers

from edgewise.security import POLICY, static_headers

SCRIPTS = Path(__file__).resolve().parents[3] / "frontend" / "static" / "js"


def test_the_worker_alone_may_compile_webassembly() -> None:
    allowed = []
    for script in SCRIPTS.glob("*.js"):
        headers = Headers()
        static_headers(headers, str(script), f"/static/js/{script.stem}.0123456789ab.js")
        if "'wasm-unsafe-eval'" in headers.get("Content-Security-Policy", ""):
            allowed.append(script.name)
    assert allowed == ["spotter-worker.js"]
    assert "wasm" not in POLICY
