"""Who is at the page: a role, and the name that somebody gave at the log-in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Flask, Request, abort, redirect, request, url_for
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, UserMixin, current_user, login_required
from itsdangerous import BadSignature
from werkzeug.wrappers import Response

from edgebox.box import Box
from edgebox.store import StoreError
from edgebox.store.staff import Role

P = ParamSpec("P")
R = TypeVar("R")

SESSION_LIFETIME = timedelta(hours=16)
"""An evening with its set-up; then everybody logs in again, whatever he does meanwhile."""

NOT_FOR_PEOPLE = ("/healthz", "/metrics", "/openapi.json")
"""What machines ask the same application for; they have nothing to hide."""

WITHOUT_SESSION = (*NOT_FOR_PEOPLE, "/static/", "/bootstrap/")
"""Nor is there anything below these that is not the same for everybody."""


def is_for_people() -> bool:
    """Whether the request is one for the pages (or for nothing that exists)."""
    return not request.path.startswith(NOT_FOR_PEOPLE)


class Person(UserMixin):
    """Somebody who has logged in. `session` numbers the role's sessions: a new password ends the old ones."""

    def __init__(self, name: str, role: Role, session: int, since: datetime) -> None:
        self.name = name
        self.role = role
        self.session = session
        self.since = since

    @property
    def is_lead(self) -> bool:
        return self.role is Role.LEAD

    def get_id(self) -> str:
        return f"{self.role}:{self.session}:{self.since.timestamp():.0f}:{self.name}"

    @classmethod
    def of_id(cls, person_id: str) -> Person | None:
        """Whom `get_id` meant; None for anything else."""
        try:
            role, session, since, name = person_id.split(":", 3)
            return cls(name, Role(role), int(session), datetime.fromtimestamp(int(since), UTC))
        except (ValueError, OverflowError, OSError):
            return None


class Sessions(SecureCookieSessionInterface):
    """Sessions in signed cookies, for people alone.

    The cookie lasts as long as the browser is open, and bears no date: a box without a clock battery may be months
    behind, and a browser would drop at once what it holds for expired. When a log-in ends, `Person.since` says.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        signer = self.get_signing_serializer(app)
        value = request.cookies.get(self.get_cookie_name(app))
        if signer is None or not value or request.path.startswith(WITHOUT_SESSION):
            return self.session_class()
        try:
            return self.session_class(signer.loads(value))
        except BadSignature:
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        if not request.path.startswith(WITHOUT_SESSION):
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        """What began over https is not shown to whoever listens in on plain http."""
        return request.is_secure

    def get_cookie_name(self, app: Flask) -> str:
        # Browsers do not let plain http replace a cookie of https: of one name, nobody could log in there any more.
        return f"{super().get_cookie_name(app)}{'-https' if request.is_secure else ''}"

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> None:
        return None


def set_up(app: Flask, box: Box) -> None:
    """Let Flask-Login know our people."""
    app.session_interface = Sessions()
    manager = LoginManager(app)
    # It would hold a phone that the Wi-Fi gave another address for a thief.
    manager.session_protection = None

    @manager.user_loader
    def load(person_id: str) -> Person | None:
        person = Person.of_id(person_id)
        if person is None or abs(box.clock.now() - person.since) >= SESSION_LIFETIME:
            return None
        try:
            credential = box.store.staff.credential(person.role)
        except StoreError:  # then all that a page can do is to say so
            return None
        return person if credential.session == person.session else None

    @manager.unauthorized_handler
    def ask_to_log_in() -> Response:
        wanted = request.full_path if request.query_string else request.path
        return redirect(url_for("web.login", next=wanted if request.method == "GET" and wanted != "/" else None))


def me() -> Person:
    """The person at the page; only behind `for_staff` or `for_lead`."""
    person = current_user._get_current_object()
    assert isinstance(person, Person)
    return person


def for_staff(view: Callable[P, R]) -> Callable[P, R]:
    """Only who has logged in."""
    return login_required(view)


def for_lead(view: Callable[P, R]) -> Callable[P, R]:
    """Only the lead."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not me().is_lead:
            abort(403)
        return view(*args, **kwargs)

    return login_required(guarded)
