"""Logging in, setting a password with a code, and logging out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import login_user, logout_user
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from edgebox.box import Box
from edgebox.store.staff import Role
from edgebox.web.guard import Guard, Later
from edgebox.web.people import Person, for_lead, me

LANGUAGES = {"en": "English", "de": "Deutsch"}
MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 200
MAX_NAME_CHARS = 60

Page = str | Response | tuple[str, int]


class Refusal(Exception):
    """Why somebody is not let in, in words for him."""


def register(web: Blueprint, box: Box) -> None:
    """The pages before all others."""
    guard = Guard()
    staff = box.store.staff

    @web.route("/login", methods=["GET", "POST"])
    def login() -> Page:
        if staff.credential(Role.LEAD).password_hash is None:
            return redirect(url_for("web.first_password"))
        if request.method == "GET":
            return render_template("login.html", name="", problem=None)
        try:
            role = _role()
            name = _name()
            password_hash = staff.credential(role).password_hash
            if password_hash is None:
                raise Refusal(_("This role has no password yet. The lead sets it on the page Box."))
            password = request.form.get("password", "")[:MAX_PASSWORD_CHARS]
            if not _attempt(lambda: check_password_hash(password_hash, password)):
                raise Refusal(_("The password is wrong."))
        except Refusal as refusal:
            return render_template("login.html", name=request.form.get("name", ""), problem=str(refusal)), 401
        _enter(name, role)
        return redirect(_next_page())

    @web.route("/first", methods=["GET", "POST"], defaults={"role": "lead"})
    @web.route("/first/<any(gate):role>", methods=["GET", "POST"])
    def first_password(role: str) -> Page:
        """Setting a role's password with its code: at the first visit, and after a reset."""
        whose = Role(role)
        if staff.credential(whose).password_hash is not None:
            return redirect(url_for("web.login"))
        if request.method == "GET":
            return render_template("first.html", role=whose, name="", problem=None)
        try:
            name = _name()
            password = _new_password()
            code = "".join(request.form.get("code", "").split()).upper().replace("-", "")
            # The code first: hashing a password takes a Pi half a second, which is not for everybody to ask for.
            is_right = _attempt(lambda: staff.is_code(whose, code))
            if not is_right or not staff.set_password(whose, generate_password_hash(password), code=code):
                where = _("The box shows it where it was started, or: edgebox staff code") if whose is Role.LEAD else ""
                raise Refusal(f"{_('The code is wrong.')} {where}".strip())
        except Refusal as refusal:
            name = request.form.get("name", "")
            return render_template("first.html", role=whose, name=name, problem=str(refusal)), 401
        box.did(name, whose, "set the password", whose)
        _enter(name, whose)
        return redirect(url_for("web.now"))

    @web.post("/logout")
    def logout() -> Response:
        logout_user()
        return redirect(url_for("web.login"))

    @web.post("/language")
    def language() -> Response:
        if request.form.get("language") in LANGUAGES:
            session["language"] = request.form["language"]
        return redirect(_next_page())

    @web.post("/password")
    @for_lead
    def set_password() -> Response:
        """The lead sets the gate's password, or a new one for the lead."""
        try:
            role, password = _role(), _new_password()
        except Refusal as refusal:
            flash(str(refusal), "danger")
            return redirect(url_for("web.health"))
        box.set_password(role, password)
        box.did(me().name, me().role, "set the password", role)
        if role is Role.LEAD:
            _enter(me().name, role)
        flash(_("The password is set. Whoever was logged in with the old one has to log in again."), "success")
        return redirect(url_for("web.health"))

    def _attempt(check: Callable[[], bool]) -> bool:
        """Check a password or code. Who has been in with this browser is not slowed by others of his address."""
        try:
            return guard.attempt(session.get("known") or request.remote_addr or "?", check)
        except Later as later:
            if later.wait_s is None:
                raise Refusal(_("Many people are logging in right now. Please try again in a moment.")) from None
            wait_s = int(later.wait_s) + 1
            raise Refusal(_("Too many wrong tries from here. Please wait %(s)d seconds.", s=wait_s)) from None

    def _enter(name: str, role: Role) -> None:
        login_user(Person(name, role, staff.credential(role).session, box.clock.now()))
        session.setdefault("known", secrets.token_hex(8))
        box.did(name, role, "logged in", "")


def _role() -> Role:
    try:
        return Role(request.form.get("role", ""))
    except ValueError:
        raise Refusal(_("Please choose a role.")) from None


def _name() -> str:
    name = " ".join(request.form.get("name", "").split())
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise Refusal(_("Please say who you are (at most %(n)d characters).", n=MAX_NAME_CHARS))
    return name


def _new_password() -> str:
    password = request.form.get("password", "")
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise Refusal(_("A password has at least %(n)d characters.", n=MIN_PASSWORD_CHARS))
    if password != request.form.get("again", ""):
        raise Refusal(_("The two passwords are not the same."))
    return password


def _next_page() -> str:
    """Where somebody wanted to go: only ever a page of ours that can be looked at, whatever stands in the address."""
    path, _mark, query = (request.args.get("next") or request.form.get("next") or "").partition("?")
    pages = current_app.create_url_adapter(request)
    try:
        endpoint, arguments = pages.match(path, method="GET") if pages else ("", {})
    except (HTTPException, RequestRedirect):
        endpoint, arguments = "", {}
    if not endpoint.startswith("web."):
        return url_for("web.now")
    wanted = url_for(endpoint, **arguments)
    return f"{wanted}?{urlencode(parse_qsl(query))}" if query else wanted
