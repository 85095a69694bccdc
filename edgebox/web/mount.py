"""Putting the staff pages into the application: blueprint, sessions, CSRF, languages, headers."""

from __future__ import annotations

import logging

from flask import Blueprint, Flask, Response, flash, make_response, redirect, render_template, request, session, url_for
from flask_babel import Babel
from flask_babel import gettext as _
from flask_bootstrap import Bootstrap5
from flask_login import current_user
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from edgebox.box import ActionError, Box
from edgebox.store import Refused, StoreError
from edgebox.upstream import UpstreamError
from edgebox.web import attention, devices, find, health, lists, log, login, now, people, scan, words
from edgebox.web.fields import FormRequest

logger = logging.getLogger(__name__)

SPEAKABLE = (ActionError, StoreError, UpstreamError)

OPEN = frozenset({"web.login", "web.first_password", "web.logout", "web.language", "web.static"})
"""What needs no log-in."""

STATIC = frozenset({"web.static", "bootstrap.static"})
"""What a browser may keep."""

MAX_FLASH_CHARS = 500
"""What is flashed travels in the cookie, of which a browser takes 4 KB; and an error may repeat what was typed."""

HEADERS = {
    # Whatever a guest calls himself, a page runs no script but the box's own.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


def mount(app: Flask, box: Box) -> None:
    """Mount the staff pages at `/`. Devices are not touched by it: they have keys, and no cookies."""
    app.request_class = FormRequest
    app.secret_key = box.store.staff.session_secret()
    app.config.update(
        SESSION_COOKIE_NAME="edgebox",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        BOOTSTRAP_SERVE_LOCAL=True,
        # A page that stays open all evening must not refuse its next click.
        WTF_CSRF_TIME_LIMIT=None,
        # Checked for the pages alone, below.
        WTF_CSRF_CHECK_DEFAULT=False,
        BABEL_TRANSLATION_DIRECTORIES="web/translations",
    )
    csrf = CSRFProtect(app)
    Bootstrap5(app)
    Babel(app, locale_selector=_language)
    people.set_up(app, box)
    web = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static/web")
    web.before_request(csrf.protect)
    for page in (login, now, devices, find, attention, log, lists, scan, health):
        page.register(web, box)
    words.register(app, box)

    @app.context_processor
    def common() -> dict[str, object]:
        return {"languages": login.LANGUAGES}

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        if people.is_for_people() or response.mimetype == "text/html":
            for name, value in HEADERS.items():
                response.headers[name] = value
            if request.endpoint not in STATIC:
                response.headers.setdefault("Cache-Control", "no-store")
        return response

    @web.errorhandler(CSRFError)
    def refuse_forgery(error: CSRFError) -> Response | BaseResponse:
        if request.endpoint not in OPEN and not current_user.is_authenticated:
            return redirect(url_for("web.login"))
        return _problem(_("This page was too old. Nothing was done; please try again."), 400)

    web.register_error_handler(HTTPException, refuse)
    for kind in SPEAKABLE:
        web.register_error_handler(kind, _tell)

    @web.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        logger.error("%s %r failed", request.method, request.path, exc_info=error)
        return _problem(words.problem(500), 500)

    app.register_blueprint(web)


def refuse(error: HTTPException) -> Response:
    """What went wrong, as a page."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    response = _problem(words.problem(status), status)
    # Which methods there are instead, for how long to wait: what else the error says of itself.
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _tell(error: Exception) -> Response | BaseResponse:
    """Whatever an action refuses is said on the page that it was asked from; nothing was done."""
    if request.method == "POST":
        flash(str(error)[:MAX_FLASH_CHARS], "danger")
        back = request.form.get("back")
        return redirect(url_for(back if back in {page[0] for page in words.PAGES} else "web.now"))
    is_here = isinstance(error, StoreError) and not isinstance(error, Refused)
    return _problem(str(error), 503 if is_here else 404)


def _problem(text: str, status: int) -> Response:
    return make_response(render_template("problem.html", text=text), status)


def _language() -> str | None:
    chosen = session.get("language")
    if chosen in login.LANGUAGES:
        return str(chosen)
    return request.accept_languages.best_match(list(login.LANGUAGES), "en")
