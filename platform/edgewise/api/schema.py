"""What the generated OpenAPI description cannot see: how errors look, and the live streams."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "What happened, why, and what to do (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {**TEXT, "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {**TEXT, "description": "What happened and why."},
        "remedy": {**TEXT, "description": "What to do."},
        "errors": {
            "type": "array",
            "description": "Each value that is wrong.",
            "items": {"type": "object", "properties": {"field": TEXT, "message": TEXT}},
        },
        "needed_by": {"type": "array", "description": "What stands in the way.", "items": TEXT},
    },
}
RUN_ID = {"name": "id", "in": "path", "required": True, "schema": {**TEXT, "format": "uuid"}}
LAST_EVENT = {"name": "Last-Event-ID", "in": "header", "description": "Go on after this event.", "schema": TEXT}
STREAMS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "/api/v1/events": ("events", "State and progress of every job of the workspace, as server-sent events.", []),
    "/api/v1/runs/{id}/events": (
        "runs",
        "A run's curve, state, progress and log as server-sent events; without Last-Event-ID all of the curve first.",
        [RUN_ID, LAST_EVENT],
    ),
}


def complete(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """Add the streams, and to every operation the shape of its errors: a hook of drf-spectacular."""
    for path, (tag, description, parameters) in STREAMS.items():
        result["paths"][path] = {"get": _stream(tag, description, parameters)}
    result["components"]["schemas"]["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["4XX"] = {"description": "A problem that the caller can mend.", "content": content}
    return result


def _stream(tag: str, description: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "operationId": f"{tag}_stream",
        "description": description,
        "tags": [tag],
        "parameters": parameters,
        "security": [{"token": []}, {"session": []}],
        "responses": {"200": {"description": "Events.", "content": {"text/event-stream": {"schema": TEXT}}}},
    }
