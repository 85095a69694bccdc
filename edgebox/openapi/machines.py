"""What machines ask: whether the box is well, numbers, and this description."""

from __future__ import annotations

from edgebox.openapi.words import ANYTHING, PLAIN, TEXT, Schema, an_object, answer, closed, ref

TAGS = [{"name": "machines", "description": "For monitoring and for tools. They need no key."}]

SCHEMAS: dict[str, Schema] = {
    "Healthy": closed({"status": {"const": "ok"}}),
    "Unhealthy": closed({"status": {"const": "error"}, "message": TEXT}),
}


def paths() -> dict[str, Schema]:
    """The addresses."""
    return {
        "/healthz": {
            "get": {
                "tags": ["machines"],
                "operationId": "healthz",
                "summary": "Whether the box can answer and write.",
                "responses": {
                    "200": answer("It can.", ref("Healthy")),
                    "503": answer("It answers, but cannot write.", ref("Unhealthy")),
                },
            }
        },
        "/metrics": {
            "get": {
                "tags": ["machines"],
                "operationId": "metrics",
                "summary": "Numbers for Prometheus: no names, codes or keys. A setting closes it.",
                "responses": {
                    "200": answer("Prometheus' text format.", TEXT, PLAIN),
                    "404": answer("It is closed."),
                },
            }
        },
        "/openapi.json": {
            "get": {
                "tags": ["machines"],
                "operationId": "openapi",
                "summary": "This description.",
                "responses": {
                    "200": answer("OpenAPI 3.1.", an_object({"openapi": TEXT, "info": ANYTHING, "paths": ANYTHING}))
                },
            }
        },
    }
