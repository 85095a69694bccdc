"""The box as a server: the Flask application, and how waitress runs it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import waitress
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from edgebox.box import Box
from edgebox.devices import pretixdroid
from edgebox.devices.pretixdroid.telling import error_body

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
"""Of one request; the longest honest one is a redeem with many long answers."""

WAITRESS: dict[str, Any] = {
    # 200 scanners keep their connection open, and a page or two as well; the default of 100 lets the 101st wait.
    "connection_limit": 1000,
    # Phones keep an idle connection for five minutes and silently re-send a POST on one that was closed meanwhile: let
    # the phone close first.
    "channel_timeout": 400,
    # More than 1024 file descriptors are beyond select().
    "asyncore_use_poll": True,
    # waitress answers what is larger in plain text: far above Flask's limit, so that a client gets JSON.
    "max_request_body_size": 64 * MAX_BODY_BYTES,
    # No Server header: nobody needs to know.
    "ident": None,
}
"""How waitress runs the box; `threads` comes from the configuration: each may wait for a commit, and those that wait
together share one."""


def create_app(box: Box) -> Flask:
    """The application: devices, and `/healthz`. Whatever goes wrong is told in JSON."""
    app = Flask("edgebox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False
    app.register_blueprint(pretixdroid.create_blueprint(box))

    @app.get("/healthz")
    def healthz() -> tuple[Response, int]:
        failure = box.store.write_failure()
        if failure is not None:
            return jsonify({"status": "error", "message": f"the store cannot be written: {failure}"}), 503
        return jsonify({"status": "ok"}), 200

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        reason, message = _PLAIN.get(status, ("bad_request", "The request cannot be understood; nothing was recorded."))
        return jsonify(error_body(reason, message)), status

    @app.errorhandler(Exception)
    def fail(error: Exception) -> tuple[Response, int]:
        # The path alone: the query holds the key.
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        return jsonify(error_body("server_error", "The box has a fault; nothing was recorded. Please tell staff.")), 500

    return app


_PLAIN = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not possible here."),
    413: ("too_large", f"The request is too large (over {MAX_BODY_BYTES} bytes); nothing was recorded."),
    500: ("server_error", "The box has a fault; nothing was recorded. Please tell staff."),
}


def serve(box: Box, on_ready: Callable[[str, int], None]) -> None:
    """Serve until SIGTERM or SIGINT. `on_ready(host, port)` is called once connections are accepted.

    Raises OSError when the address cannot be listened on.
    """
    server = waitress.create_server(
        create_app(box), host=box.config.host, port=box.config.port, threads=box.config.threads, **WAITRESS
    )
    host, port = _listens_on(server)
    box.listens_on = (host, port)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        box.sync.start()
        on_ready(host, port)
        server.run()  # ends by itself at SystemExit, once its threads have finished what they were at
    except SystemExit:
        pass
    finally:
        box.listens_on = None
        server.close()


def _listens_on(server: Any) -> tuple[str, int]:
    if hasattr(server, "effective_listen"):  # a host name with several addresses
        host, port = server.effective_listen[0]
    else:
        host, port = server.effective_host, server.effective_port
    return str(host), int(port)
