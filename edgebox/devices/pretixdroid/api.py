"""The four calls of the API, under `/pretixdroid/api/ORGANIZER/EVENT[/SUBEVENT]/`.

Refused in this order, as pretix does it: event (404), key (403), date (403), method (405), body. 403 and 404 make a
phone stop its whole queue, so they are never the answer to one entry.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import parse_qs

from flask import Blueprint, Request, Response
from flask.blueprints import BlueprintSetupState
from flask.globals import request_ctx
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import Rule
from werkzeug.wsgi import wrap_file

from edgebox.box import Box
from edgebox.devices.answering import json_answer
from edgebox.devices.naming import ItemNames
from edgebox.devices.pretixdroid.asking import BadRequest, read_query, read_redeem
from edgebox.devices.pretixdroid.download import Body, Downloads
from edgebox.devices.pretixdroid.telling import (
    error_body,
    is_worth_telling,
    status_body,
    ticket_body,
    verdict_body,
)
from edgebox.devices.wrong_keys import WrongKeys
from edgebox.model import CheckInList, Device
from edgebox.store import Refused, StoreError

PREFIX = "/pretixdroid/api/<organizer>/<event>"
MAX_RESULTS = 25
INVALID_KEY = "invalid_key"
MAX_KEPT_CHARS = 500
"""A longer query string is no scanner's, and is not kept to be recognised."""

Call = Callable[[Request, Device, CheckInList], Response]


class _Closed(Exception):
    """The door is closed to this request."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.is_key_wrong = reason == INVALID_KEY
        self.answer = json_answer(error_body(reason, message), status)


def create_blueprint(box: Box, wrong_keys: WrongKeys) -> Blueprint:
    """The API as a Flask blueprint."""
    blueprint = Blueprint("pretixdroid", __name__)
    api = Api(box)
    calls: dict[str, tuple[Call, tuple[str, ...]]] = {
        "redeem": (api.redeem, ("POST",)),
        "search": (api.search, ("GET", "HEAD")),
        "download": (api.download, ("GET", "HEAD")),
        "status": (api.status, ("GET", "HEAD")),
    }

    def view(organizer: str, event: str, verb: str, subevent: str | None = None) -> Response:
        call, methods = calls[verb]
        request = request_ctx.request  # looked up once: each use of Flask's own name looks it up again
        try:
            device, list_ = _admit(box, request, organizer, event, subevent)
        except _Closed as closed:
            if closed.is_key_wrong:
                wrong_keys.met(request.environ)
            return closed.answer

        def refuse(status: int, reason: str, message: str) -> Response:
            return json_answer(error_body(reason, message, list_.version), status)

        if request.method not in methods:
            answer = refuse(405, "method_not_allowed", f"This method is not possible here: use {methods[0]}.")
            answer.headers["Allow"] = ", ".join(methods)
            return answer
        nothing = "Nothing was recorded: " if verb == "redeem" else ""
        try:
            return call(request, device, list_)
        except BadRequest as error:
            return refuse(400, "bad_request", f"{nothing}{error}")
        except RequestEntityTooLarge:
            return refuse(413, "too_large", f"{nothing}the request is too large")
        except Refused:
            # The list was removed meanwhile: this request is answered as the next one will be.
            return view(organizer, event, verb, subevent)
        except StoreError as error:
            return refuse(503, "unavailable", f"{nothing}{error}")

    def mount(state: BlueprintSetupState) -> None:
        endpoint = f"{blueprint.name}.call"
        state.app.view_functions[endpoint] = view
        verbs = f"<any({', '.join(calls)}):verb>"
        for path in (f"{PREFIX}/{verbs}/", f"{PREFIX}/<subevent>/{verbs}/"):
            # With and without the last slash, in place: a redirect would turn a POST into a GET. Added to the map
            # itself, a rule takes every method there is: event and key come first, also for one that nobody knows.
            state.app.url_map.add(Rule(path, endpoint=endpoint, strict_slashes=False))

    blueprint.record(mount)
    return blueprint


def _admit(box: Box, request: Request, organizer: str, event: str, subevent: str | None) -> tuple[Device, CheckInList]:
    """The device that asks, and the one list that its key opens. Raises _Closed."""
    if not any((list_.organizer, list_.event) == (organizer, event) for list_ in box.store.lists.all()):
        raise _Closed(404, "unknown_event", "Unknown event")
    query = request.query_string
    device = box.store.devices.by_key(_key(query) if len(query) <= MAX_KEPT_CHARS else _key.__wrapped__(query))
    if device is None:
        raise _Closed(403, INVALID_KEY, "Invalid key")
    lists = (box.store.lists.get(list_id) for list_id in device.list_ids)
    list_ = next((each for each in lists if each and (each.organizer, each.event) == (organizer, event)), None)
    if list_ is None:
        raise _Closed(403, INVALID_KEY, "Invalid key")
    if subevent is not None and list_.subevent is None:
        raise _Closed(403, "invalid_subevent", "Subevents not enabled.")
    if subevent is not None and subevent != str(list_.subevent):
        raise _Closed(403, "invalid_subevent", "Invalid subevent selected.")
    box.saw(device, request.environ.get("HTTP_USER_AGENT"))
    return device, list_


@lru_cache(1024)
def _key(query: bytes) -> str:
    """The key in a query string. (A scanner asks with the same one all evening.)"""
    texts = parse_qs(query.decode("utf-8", "replace"), keep_blank_values=True, errors="replace").get("key", [""])
    return texts[0]


class Api:
    """The calls, for a device that was let in."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._downloads = Downloads(box.store, box.config.threads // 4, now=box.clock.now)

    def redeem(self, request: Request, device: Device, list_: CheckInList) -> Response:
        """Decide, record, answer."""
        asked = read_redeem(request)
        return json_answer(verdict_body(list_, self._box.redeem(device, list_, asked)))

    def search(self, request: Request, device: Device, list_: CheckInList) -> Response:
        """At most 25 tickets that the device may scan; none for fewer than four characters."""
        query = read_query(request)
        found = []
        if query is not None:
            found = self._box.store.tickets.search(
                list_, query, item_ids=device.item_ids, by_name=device.allow_search, limit=MAX_RESULTS
            )
        names = ItemNames(list_)
        now = self._box.clock.now()
        told = (each for each in found if is_worth_telling(each.ticket, now))
        results = [ticket_body(names, each.ticket, each.is_redeemed) for each in told]
        return json_answer({"results": results, "version": list_.version})

    def download(self, request: Request, device: Device, list_: CheckInList) -> Response:
        """All positions that the list counts, of the device's items; a file for waitress, so that a slow phone holds
        no thread."""
        body, age_s = self._downloads.get(list_, device.item_ids)
        is_compressed = request.accept_encodings.quality("gzip") > 0
        response = _compressed(body, request) if is_compressed else _plain(body)
        response.headers["Vary"] = "Accept-Encoding"
        if age_s:
            response.headers["Age"] = str(age_s)
        return response

    def status(self, request: Request, device: Device, list_: CheckInList) -> Response:
        """The event and the list's counts."""
        return json_answer(status_body(list_, self._box.counts(list_)))


def _compressed(body: Body, request: Request) -> Response:
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

    response = Response(pieces(), mimetype="application/json")
    # Without it waitress would close the connection after the answer.
    response.content_length = body.size_bytes
    return response
