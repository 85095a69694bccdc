"""Reading what a scanner sends."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from edgebox.instants import parse_client_datetime
from edgebox.model import MAX_NONCE_CHARS, RedeemRequest

FORM = "application/x-www-form-urlencoded"
MAX_ANSWERS = 200
MAX_ANSWER_CHARS = 10_000
MIN_QUERY_CHARS = 4
MAX_QUERY_CHARS = 1_000
"""No secret, order code or name is longer: a longer query finds nothing."""

_ANSWER = re.compile(r"answer_([0-9]{1,18})", re.ASCII)
# U+FFFD stands where bytes were no UTF-8: two such nonces that differ would look the same.
_NOT_IN_NONCE = re.compile("[\x00-\x1f\x7f\ufffd]")
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")


class BadRequest(ValueError):
    """A field that cannot be used. The text names it and is fit to be shown; it never repeats what was sent."""


def read_redeem(request: Request) -> RedeemRequest:
    """What a call of `redeem/` asks for. Raises BadRequest, and RequestEntityTooLarge for an oversized body.

    A secret that is missing, long or odd is no error here: no ticket has it. Fields that nobody knows are ignored.
    """
    form = _read_form(request)
    nonce = form.get("nonce") or None
    if nonce is not None and (len(nonce) > MAX_NONCE_CHARS or _NOT_IN_NONCE.search(nonce)):
        raise BadRequest(f"nonce: at most {MAX_NONCE_CHARS} characters, none of them a control character")
    at = None
    if "datetime" in form:
        try:
            at = parse_client_datetime(form["datetime"])
        except ValueError as error:
            raise BadRequest(f"datetime: {error}") from None
    return RedeemRequest(
        secret=form.get("secret", ""),
        nonce=nonce,
        datetime=at,
        is_forced=_is_true(form.get("force")),
        ignores_unpaid=_is_true(form.get("ignore_unpaid")),
        questions_supported=bool(form.get("questions_supported")),
        answers=_answers(form),
    )


def read_query(request: Request) -> str | None:
    """What a call of `search/` looks for; None where it can find nothing. Raises BadRequest."""
    query = request.args.get("query", "")
    if _NOT_IN_TEXT.search(query):
        raise BadRequest("query: no control characters are possible")
    return query if MIN_QUERY_CHARS <= len(query) <= MAX_QUERY_CHARS else None


def _read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form, the last of several with one name; none in a body of any other kind (JSON, say).

    Bytes that are no UTF-8 become U+FFFD, one field at a time: an odd secret must not hide the rest of the form.
    """
    length, most = request.content_length, request.max_content_length
    if length is not None and most is not None and length <= most:
        body = request.environ["wsgi.input"].read(length)  # the same as below, by a much shorter way
    else:
        body = request.get_data(cache=False)
    if request.environ.get("CONTENT_TYPE") == FORM or request.mimetype == FORM:
        if body.count(b"&") >= (request.max_form_parts or 0):
            raise RequestEntityTooLarge
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))
    if request.mimetype == "multipart/form-data":
        parser = FormDataParser(max_form_parts=request.max_form_parts, silent=False)
        try:
            _, form, _ = parser.parse(io.BytesIO(body), request.mimetype, len(body), request.mimetype_params)
        except ValueError:
            raise BadRequest("the body is not the form that its Content-Type announces") from None
        # A part without a name has None for one.
        return {name: texts[-1] for name, texts in form.lists() if name}
    return {}


def _is_true(text: str | None) -> bool:
    return text in ("true", "True")


def _answers(form: Mapping[str, str]) -> dict[int, str]:
    answers: dict[int, str] = {}
    for field, text in form.items():
        match = _ANSWER.fullmatch(field)
        if match is None:
            continue
        if len(text) > MAX_ANSWER_CHARS or _NOT_IN_TEXT.search(text):
            raise BadRequest(f"{field}: at most {MAX_ANSWER_CHARS} characters, none of them a control character")
        answers[int(match[1])] = text
    if len(answers) > MAX_ANSWERS:
        raise BadRequest(f"more than {MAX_ANSWERS} answers")
    return answers
