"""The box as a server: the Flask application, and how waitress runs it."""

from __future__ import annotations

import json
import logging
import resource
import signal
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import waitress
from flask import Flask, Response, jsonify, request
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound

from edgebox import openapi, web
from edgebox.box import Box
from edgebox.channels import LateAnswers, keep
from edgebox.devices import pretixdroid, pretixscan
from edgebox.devices.pretixdroid.telling import error_body
from edgebox.devices.wrong_keys import WrongKeys
from edgebox.metering import measure
from edgebox.ops.metrics import CONTENT_TYPE

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
"""Of one request; the longest honest one is a redeem with many long answers."""

MAX_CONNECTIONS = 1000
"""200 scanners keep one or a few open each, and those that left the Wi-Fi without a word keep theirs for a while; the
default of 100 lets the 101st wait."""

WAITRESS: dict[str, Any] = {
    # Phones keep an idle connection for five minutes and silently re-send a POST on one that was closed meanwhile: let
    # the phone close first.
    "channel_timeout": 400,
    # More than 1024 file descriptors are beyond select().
    "asyncore_use_poll": True,
    # waitress answers what is larger in plain text: far above Flask's limit, so that a client gets JSON. What is above
    # that limit is read, but not kept (`channels`).
    "max_request_body_size": 64 * MAX_BODY_BYTES,
    # Of a thousand bodies that never end, no more than 16 MB stand in the memory, and 256 MB on the disk.
    "inbuf_overflow": 16 * 1024,
    # The longest honest head has a search in it, and a cookie. All of it is looked through for each piece that comes.
    "max_request_header_size": 32 * 1024,
    # Phones walk out of the Wi-Fi all day long: that is no error with a traceback.
    "log_socket_errors": False,
    # What does not fit is put into a temporary file, on the card. No more than outbuf_high_watermark (16 MB) ever waits
    # for one phone, and only of a download that was asked for without compression, which no app does.
    "outbuf_overflow": 32 * 1024 * 1024,
    # No Server header: nobody needs to know.
    "ident": None,
}
"""How waitress runs the box; `threads` comes from the configuration: each may wait for a commit, and those that wait
together share one."""

# It warns whenever a request waits for a thread, which under load is each.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)

FINISH_WITHIN_S = 5.0
"""How long a server that stops waits for the requests it is at."""


def create_app(box: Box) -> Flask:
    """The application: staff pages, `/healthz`, `/metrics` and `/openapi.json`; in front of them the devices."""
    app = _new_app("edgebox", _refuse)
    web.mount(app, box)

    @app.get("/healthz")
    def healthz() -> tuple[Response, int]:
        failure = box.store.write_failure()
        if failure is not None:
            return jsonify({"status": "error", "message": f"the store cannot be written: {failure}"}), 503
        return jsonify({"status": "ok"}), 200

    @app.get("/openapi.json", endpoint="openapi")
    def openapi_json() -> Response:
        return Response(_description(), content_type="application/json")

    box.metrics.gauges = lambda: measure(box)

    @app.get("/metrics")
    def metrics() -> Response:
        """For anybody on the network, as there is nothing but numbers in it, unless a setting says otherwise."""
        if not box.config.metrics:
            raise NotFound
        return Response(box.metrics.text(), content_type=CONTENT_TYPE)

    droid, scan = device_apps(box)
    droid_app, scan_app, pages = droid.wsgi_app, scan.wsgi_app, app.wsgi_app

    def by_address(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"].lstrip("/")
        if path.startswith(pretixdroid.PREFIX):
            return droid_app(environ, _unsniffed(start_response))
        if path.startswith(pretixscan.PREFIXES):
            return scan_app(environ, _unsniffed(start_response))
        return pages(environ, start_response)

    app.wsgi_app = by_address  # type: ignore[method-assign]
    return app


def _unsniffed(start_response: Any) -> Any:
    """No browser takes what a device is told for a page, whatever a guest calls himself."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        return start_response(status, [*headers, ("X-Content-Type-Options", "nosniff")], exc_info)

    return start


def device_apps(box: Box) -> tuple[Flask, Flask]:
    """The pretixdroid and the pretixSCAN dialect.

    Each is an application of its own, so that no scan walks past what only the pages need (sessions, log-ins,
    languages, their many addresses), and whatever goes wrong is told in the dialect's own way.
    """
    wrong_keys = WrongKeys()
    droid = _new_app("edgebox.devices", _refuse_in_json)
    droid.register_blueprint(pretixdroid.create_blueprint(box, wrong_keys))
    scan = _new_app("edgebox.devices", pretixscan.refuse)
    scan.register_blueprint(pretixscan.create_blueprint(box, wrong_keys))
    return droid, scan


@cache
def _description() -> bytes:
    return json.dumps(openapi.description(), separators=(",", ":")).encode()


def _new_app(name: str, refuse: Callable[[HTTPException], Response]) -> Flask:
    app = Flask(name, static_folder=None, static_url_path="/static", root_path=str(Path(__file__).parent))
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # An answer to OPTIONS that Flask would make up by itself, as HTML.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.register_error_handler(HTTPException, refuse)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        # The path alone: the query holds the key.
        log.error("%s %r failed", request.method, request.path, exc_info=error)
        return refuse(InternalServerError())

    return app


def _refuse(error: HTTPException) -> Response:
    return web.refuse(error) if request.accept_mimetypes.accept_html else _refuse_in_json(error)


def _refuse_in_json(error: HTTPException) -> Response:
    status = error.code or 500
    reason, message = _PLAIN.get(status, ("bad_request", "The request cannot be understood; nothing was recorded."))
    response = jsonify(error_body(reason, message))
    response.status_code = status
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


_PLAIN = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not possible here."),
    413: ("too_large", f"The request is too large (over {MAX_BODY_BYTES} bytes); nothing was recorded."),
    500: ("server_error", "The box has a fault; nothing was recorded. Please tell staff."),
}


class Server:
    """waitress around the application, listening from the start; `run` answers until `stop`.

    Raises OSError when the address cannot be listened on.
    """

    def __init__(self, box: Box) -> None:
        config = box.config
        self._is_stopping = False
        self._is_told = threading.Event()
        # Every socket that waitress looks at, by file descriptor; it adds and removes them itself.
        self._sockets: dict[int, Any] = {}
        try:
            server = waitress.create_server(
                create_app(box),
                map=self._sockets,
                host=config.host,
                port=config.port,
                threads=config.threads,
                connection_limit=room_for_connections(config.threads),
                **WAITRESS,
                **_proxy(config.trusted_proxy),
            )
        except ValueError:  # waitress's word for a name that has no address
            raise OSError("no such host") from None
        self._threads = server.task_dispatcher
        self._listeners = [each for each in self._sockets.values() if isinstance(each, BaseWSGIServer)]
        self._late = LateAnswers()
        for listener in self._listeners:
            keep(listener, self._late, max_kept_bytes=MAX_BODY_BYTES)

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) that is listened on; the first one of a name that has several addresses."""
        first = self._listeners[0]
        return str(first.effective_host), int(first.effective_port)

    def run(self) -> None:
        """Accept and answer requests until `stop`; then take no new ones, but let the answers leave of those that were
        read, within FINISH_WITHIN_S."""
        while not self._is_stopping:
            self._look(wait_s=1.0)
        self._late.is_over = True
        self._is_told.wait()  # until nobody needs the trigger any more, which is closed below
        for listener in self._listeners:
            # The socket alone: by the listener's trigger threads still wake this loop up when an answer is ready.
            wasyncore.dispatcher.close(listener)
        give_up_s = time.monotonic() + FINISH_WITHIN_S
        while self._is_busy() and time.monotonic() < give_up_s:
            self._look(wait_s=0.1)
        self._threads.shutdown(timeout=1)
        if not self._threads.threads:
            # A thread that is still at it would write to what has this trigger's file descriptor next.
            wasyncore.close_all(self._sockets)

    def stop(self) -> None:
        """Let `run` come to its end. Callable from a signal handler and from other threads, and more than once."""
        if not self._is_stopping:
            self._is_stopping = True
            self._listeners[0].pull_trigger()
            self._is_told.set()

    def _look(self, wait_s: float) -> None:
        due_s = self._late.let_due_go()
        wait_s = wait_s if due_s is None else min(wait_s, due_s)
        wasyncore.loop(timeout=wait_s, use_poll=WAITRESS["asyncore_use_poll"], map=self._sockets, count=1)

    def _is_busy(self) -> bool:
        """Whether any request is being answered; connections where none is are closed."""
        is_busy = False
        for channel in [each for each in self._sockets.values() if isinstance(each, HTTPChannel)]:
            # In this order: what a thread has done with has its answer in the buffer by then.
            if channel.requests or channel.total_outbufs_len:
                is_busy = True
            else:
                channel.handle_close()
        return is_busy


def _proxy(trusted: str) -> dict[str, Any]:
    """What waitress makes of the headers with which a proxy tells of its client: of anybody else's, nothing."""
    if not trusted:
        return {}
    return {
        "trusted_proxy": trusted,
        "trusted_proxy_count": 1,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
        "clear_untrusted_proxy_headers": True,
    }


def room_for_connections(threads: int) -> int:
    """How many connections can be kept open at once; makes as much room for them as the system allows."""
    # A thread reads through a connection of its own to the database, which is two or three open files.
    for_others = 100 + 4 * threads
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MAX_CONNECTIONS + for_others:
        wanted = MAX_CONNECTIONS + for_others
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, max(1, soft - for_others))


def serve(box: Box, on_ready: Callable[[str, int], None]) -> None:
    """Serve until SIGTERM or SIGINT. `on_ready(host, port)` is called once connections are accepted.

    Raises OSError when the address cannot be listened on.
    """
    server = Server(box)

    def stop(number: int, frame: FrameType | None) -> None:
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    box.listens_on = server.address
    try:
        box.sync.start()
        box.caretaker.on_restart_wanted = server.stop
        box.caretaker.start()
        box.backups.start()
        on_ready(*server.address)
        server.run()
    finally:
        box.listens_on = None
