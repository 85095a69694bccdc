"""What people send: fields of forms, and numbers in addresses."""

from __future__ import annotations

from flask import request

MAX_ID = 2**63 - 1
"""What the database can hold."""
ID = f"int(max={MAX_ID})"
"""A row's number in an address; anything larger is an address that does not exist."""
MAX_TEXT_CHARS = 500


def text_of(field: str) -> str:
    """A form's text, in one line and not endless."""
    return " ".join(request.form.get(field, "").split())[:MAX_TEXT_CHARS]


def asked_id(field: str) -> int | None:
    """A row's number among what the address asks for; None where there is none that could be one."""
    number = request.args.get(field, type=int)
    return number if number is not None and 0 <= number <= MAX_ID else None
