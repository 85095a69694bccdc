"""The four calls of the API, under `/pretixdroid/api/ORGANIZER/EVENT[/SUBEVENT]/`.

Refused in this order, as pretix does it: event (404), key (403), date (403), method (405), body. 403 and 404 make a
phone stop its whole queue, so they are never the answer to one entry.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.wsgi import wrap_file

from edgebox.box import Box
from edgebox.devices.pretixdroid.asking import BadRequest, read_redeem
from edgebox.devices.pretixdroid.download import Body, Downloads
from edgebox.devices.pretixdroid.telling import error_body, status_body, ticket_body, verdict_body
from edgebox.model import CheckInList, Device
from edgebox.store import Refused, StoreError

PREFIX = "/pretixdroid/api/<organizer>/<event>"
ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
MIN_QUERY_CHARS = 4
MAX_RESULTS = 25

Answer = Response | tuple[Response, int] | tuple[Response, int, dict[str, str]]
Call = Callable[[Device, CheckInList], Answer]


class _Closed(Exception):
    """The door is closed to this request."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (jsonify(error_body(reason, message)), status)


def create_blueprint(box: Box) -> Blueprint:
    """The API as a Flask blueprint."""
    blueprint = Blueprint("pretixdroid", __name__)
    api = Api(box)
    calls: dict[str, tuple[Call, str]] = {
        "redeem": (api.redeem, "POST"),
        "search": (api.search, "GET"),
        "download": (api.download, "GET"),
        "status": (api.status, "GET"),
    }
    for verb, (call, method) in calls.items():
        view = _view(box, call, method)
        for number, path in enumerate((f"{PREFIX}/{verb}/", f"{PREFIX}/<subevent>/{verb}/")):
            # With and without the last slash, in place: a redirect would turn a POST into a GET.
            blueprint.add_url_rule(
                path,
                f"{verb}{number}",
                view,
                methods=ANY_METHOD,
                strict_slashes=False,
                provide_automatic_options=False,
            )
    return blueprint


def _view(box: Box, call: Call, method: str) -> Callable[..., Answer]:
    def view(organizer: str, event: str, subevent: str | None = None) -> Answer:
        try:
            device, list_ = _admit(box, organizer, event, subevent)
        except _Closed as closed:
            return closed.answer
        if request.method not in {method, "HEAD" if method == "GET" else method}:
            message = f"{request.method} is not possible here: use {method}."
            return jsonify(error_body("method_not_allowed", message, list_.version)), 405, {"Allow": method}
        try:
            return call(device, list_)
        except BadRequest as error:
            return jsonify(error_body("bad_request", f"Nothing was recorded. {error}", list_.version)), 400
        except Refused:
            return jsonify(error_body("unknown_event", "Unknown event", list_.version)), 404
        except StoreError as error:
            return jsonify(error_body("unavailable", f"Nothing was recorded: {error}", list_.version)), 503

    return view


def _admit(box: Box, organizer: str, event: str, subevent: str | None) -> tuple[Device, CheckInList]:
    """The device that asks, and the one list that its key opens. Raises _Closed."""
    if not any((list_.organizer, list_.event) == (organizer, event) for list_ in box.store.lists.all()):
        raise _Closed(404, "unknown_event", "Unknown event")
    device = box.store.devices.by_key(request.args.get("key", ""))
    if device is None:
        raise _Closed(403, "invalid_key", "Invalid key")
    lists = (box.store.lists.get(list_id) for list_id in device.list_ids)
    list_ = next((each for each in lists if each and (each.organizer, each.event) == (organizer, event)), None)
    if list_ is None:
        raise _Closed(403, "invalid_key", "Invalid key")
    if subevent is not None and list_.subevent is None:
        raise _Closed(403, "invalid_subevent", "Subevents not enabled.")
    if subevent is not None and subevent != str(list_.subevent):
        raise _Closed(403, "invalid_subevent", "Invalid subevent selected.")
    box.saw(device, request.headers.get("User-Agent"))
    return device, list_


class Api:
    """The calls, for a device that was let in."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._downloads = Downloads(box.store)

    def redeem(self, device: Device, list_: CheckInList) -> Answer:
        """Decide, record, answer."""
        asked = read_redeem(request.form)
        return jsonify(verdict_body(list_, self._box.redeem(device, list_, asked)))

    def search(self, device: Device, list_: CheckInList) -> Answer:
        """At most 25 tickets that the device may scan; none for fewer than four characters."""
        query = request.args.get("query", "")
        found = []
        if len(query) >= MIN_QUERY_CHARS:
            found = self._box.store.tickets.search(
                list_, query, item_ids=device.item_ids, by_name=device.allow_search, limit=MAX_RESULTS
            )
        results = [ticket_body(list_.catalog, each.ticket, each.is_redeemed) for each in found]
        return jsonify({"results": results, "version": list_.version})

    def download(self, device: Device, list_: CheckInList) -> Answer:
        """All positions that the list counts, of the device's items; a file for waitress, so that a slow phone holds
        no thread."""
        body, age_s = self._downloads.get(list_, device.item_ids)
        response = _compressed(body) if "gzip" in request.accept_encodings else _plain(body)
        response.headers["Vary"] = "Accept-Encoding"
        if age_s:
            response.headers["Age"] = str(age_s)
        return response

    def status(self, device: Device, list_: CheckInList) -> Answer:
        """The event and the list's counts."""
        body: dict[str, Any] = status_body(list_, self._box.counts(list_))
        return jsonify(body)


def _compressed(body: Body) -> Response:
    response = Response(
        wrap_file(request.environ, io.BytesIO(body.compressed)), mimetype="application/json", direct_passthrough=True
    )
    response.headers["Content-Encoding"] = "gzip"
    response.content_length = len(body.compressed)
    return response


def _plain(body: Body) -> Response:
    def pieces() -> Iterator[bytes]:
        with gzip.open(io.BytesIO(body.compressed)) as stream:
            while piece := stream.read(64 * 1024):
                yield piece

    return Response(pieces(), mimetype="application/json")
