"""The addresses of the dialect.

An unknown address and what a device has no list of are 404 in plain text: the app takes a JSON 404 for a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from edgebox.box import Box
from edgebox.devices.answering import json_answer
from edgebox.devices.pretixscan import onboarding, resources, rpc
from edgebox.devices.pretixscan.access import Closed, admit, not_there
from edgebox.devices.pretixscan.asking import BadRequest
from edgebox.devices.wrong_keys import WrongKeys
from edgebox.store import StoreError

Call = Callable[..., Response]

_RPC = "/proxyapi/v1/rpc"
_ORGANIZER = "/api/v1/organizers/<organizer>"
_LIST = f"{_RPC}/<event>/<int:number>"


def create_blueprint(box: Box, wrong_keys: WrongKeys) -> Blueprint:
    """The protocol as a Flask blueprint."""
    blueprint = Blueprint("pretixscan", __name__)

    def route(method: str, rule: str, call: Call) -> None:
        def view(**where: Any) -> Response:
            asked = request_ctx.request
            try:
                return call(box, asked, admit(box, asked), **where)
            except Closed as closed:
                if closed.answer.status_code == 401:
                    wrong_keys.met(asked.environ)
                return closed.answer

        name = f"{call.__module__.rsplit('.', 1)[-1]}.{call.__name__}".replace(".", "_")
        blueprint.add_url_rule(rule, name, view, methods=[method], strict_slashes=False)

    def initialize() -> Response:
        try:
            return onboarding.initialize(box, request)
        except onboarding.WrongToken as wrong:
            wrong_keys.met(request.environ)
            return wrong.answer

    blueprint.add_url_rule(
        "/api/v1/device/initialize", "initialize", initialize, methods=["POST"], strict_slashes=False
    )
    blueprint.add_url_rule("/api/v1/version", "version", onboarding.version, methods=["GET"], strict_slashes=False)
    route("GET", "/api/v1/device/info", onboarding.info)
    route("POST", "/api/v1/device/update", onboarding.update)
    route("POST", "/api/v1/device/revoke", onboarding.revoke)
    route("GET", "/api/v1/device/eventselection", onboarding.event_selection)
    route("GET", f"{_ORGANIZER}/events/", resources.events)
    route("GET", f"{_ORGANIZER}/subevents/", resources.subevents)
    route("GET", f"{_ORGANIZER}/events/<event>/", resources.event)
    route("GET", f"{_ORGANIZER}/events/<event>/<any({', '.join(resources.WHAT)}):what>/", resources.of_event)
    route("POST", f"{_ORGANIZER}/events/<event>/orderpositions/<int:position>/printlog/", resources.print_log)
    route("POST", f"{_RPC}/check/", rpc.check)
    route("POST", f"{_RPC}/search/", rpc.search)
    route("POST", f"{_LIST}/check/", rpc.check_one)
    route("POST", f"{_LIST}/search/", rpc.search_one)
    route("GET", f"{_LIST}/status/", rpc.status)

    @blueprint.errorhandler(BadRequest)
    def bad(error: BadRequest) -> Response:
        return _told(400, f"Nothing was recorded: {error}")

    @blueprint.errorhandler(rpc.NoSuchList)
    def no_such_list(error: rpc.NoSuchList) -> Response:
        return _told(400, rpc.NOT_YOURS)

    @blueprint.errorhandler(StoreError)
    def unavailable(error: StoreError) -> Response:
        return _told(503, str(error))

    return blueprint


def refuse(error: HTTPException) -> Response:
    """What is answered to a request that reaches none of the calls."""
    status = error.code or 500
    if status == 404:
        return not_there("There is nothing at this address.")
    response = _told(status, _PLAIN.get(status, "The request cannot be understood; nothing was recorded."))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


_PLAIN = {
    405: "This method is not possible here.",
    413: "The request is too large; nothing was recorded.",
    500: "The box has a fault; nothing was recorded. Please tell staff.",
}


def _told(status: int, text: str) -> Response:
    """An error in words: the app shows `title` of a call of the gate, pretix's clients read `detail`."""
    return json_answer({"title": text, "detail": text}, status)
