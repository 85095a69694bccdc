"""JSON answers, for every dialect."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_answer(body: Any, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(encode(body), status, content_type="application/json")
