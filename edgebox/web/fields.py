"""What people send: fields of forms, and numbers in addresses."""

from __future__ import annotations

import io
from typing import Any

from flask import Request, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

MAX_ID = 2**63 - 1
"""What the database can hold."""
ID = f"int(max={MAX_ID})"
"""A row's number in an address; anything larger is an address that does not exist."""
MAX_TEXT_CHARS = 500


class _Named(FormDataParser):
    """Leaves out parts without a name, which nobody can ask for: they have None for one, at which others stumble. And a
    form may have so many fields, whichever kind it is of."""

    def parse(self, stream: Any, mimetype: str, *args: Any, **kwargs: Any) -> Any:
        if mimetype == "application/x-www-form-urlencoded":
            body = stream.read()
            if self.max_form_parts is not None and body.count(b"&") >= self.max_form_parts:
                raise RequestEntityTooLarge
            stream = io.BytesIO(body)
        stream, form, files = super().parse(stream, mimetype, *args, **kwargs)
        return stream, MultiDict((name, text) for name, text in form.items(multi=True) if name), files


class FormRequest(Request):
    """A request of the pages."""

    form_data_parser_class = _Named


def text_of(field: str) -> str:
    """A form's text, in one line and not endless."""
    return " ".join(request.form.get(field, "").split())[:MAX_TEXT_CHARS]


def asked_id(field: str) -> int | None:
    """A row's number among what the address asks for; None where there is none that could be one."""
    number = request.args.get(field, type=int)
    return number if number is not None and 0 <= number <= MAX_ID else None
