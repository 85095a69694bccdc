"""The OpenAPI 3.1 description of all addresses at which the box answers: one place that tests and others read.

`description()` is put together from one part a dialect, one for the staff pages, and one for what machines ask.
"""

from __future__ import annotations

from typing import Any

from edgebox import __version__
from edgebox.openapi import machines, pages, pretixdroid, pretixscan, pretixscan_schemas

ABOUT = """\
What an edgebox answers, to scanners, to staff and to machines. Every GET also answers HEAD. Where an address is known
but not the method, the answer is 405 with `Allow`. A fault of the box itself is 500, in the words of whoever asked.

Before a request reaches any of this, the server itself may refuse it, in plain text: 400 for what is no HTTP, 413 for
a body that is far too large, 431 for a head that is too large, 501 for a coding that it does not know.

A wrong key is refused at once, but where many wrong keys come, the refusals leave late; those with a right key never
wait for that.
"""


def description() -> dict[str, Any]:
    """The whole description; the caller's own."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgebox", "version": __version__, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [*pretixdroid.TAGS, *pretixscan.TAGS, *pages.TAGS, *machines.TAGS],
        "paths": {**pretixdroid.paths(), **pretixscan.paths(), **pages.paths(), **machines.paths()},
        "components": {
            "securitySchemes": {**pretixdroid.SECURITY, **pretixscan.SECURITY, **pages.SECURITY},
            "schemas": {**pretixdroid.SCHEMAS, **pretixscan_schemas.SCHEMAS, **pages.SCHEMAS, **machines.SCHEMAS},
        },
    }
