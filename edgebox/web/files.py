"""Handing over files: finished ones, so that a slow reader holds no thread of the scanners."""

from __future__ import annotations

import os
from typing import IO

from flask import Response, request
from werkzeug.wsgi import wrap_file


def as_file(file: IO[bytes], name: str, kind: str) -> Response:
    """An open file as a download; it is closed when it was sent."""
    file.seek(0, os.SEEK_END)
    size_bytes = file.tell()
    file.seek(0)
    response = Response(wrap_file(request.environ, file), mimetype=kind, direct_passthrough=True)
    response.content_length = size_bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
