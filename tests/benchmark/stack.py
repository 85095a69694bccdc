"""The limit of the stack: an endpoint that reads the form, answers JSON of a redeem's size, and does nothing else.

Run as `python -m tests.benchmark.stack PORT`, under the very settings with which the box runs waitress.
"""

from __future__ import annotations

import sys

import waitress
from flask import Flask, Response, jsonify, request

from edgebox.app import WAITRESS, room_for_connections
from edgebox.config import Config

ANSWER = {
    "data": {
        "addons_text": "",
        "attendee_name": "Maximilian Beispielmann",
        "attention": False,
        "checkin_allowed": True,
        "item": "Standing",
        "item_id": 1,
        "order": "ABC12",
        "paid": True,
        "redeemed": True,
        "secret": "b4v6jhyq4uqgj5x8bmmkwpjwqtjcdn9d",
        "variation": None,
        "variation_id": None,
    },
    "status": "ok",
    "version": 3,
}


def create_app() -> Flask:
    app = Flask("stack", static_folder=None)

    @app.post("/pretixdroid/api/<organizer>/<event>/redeem/")
    def redeem(organizer: str, event: str) -> Response:
        ANSWER["data"]["secret"] = request.form["secret"]  # type: ignore[index]
        return jsonify(ANSWER)

    return app


def main(port: int) -> None:
    threads = Config.threads
    server = waitress.create_server(
        create_app(),
        host="127.0.0.1",
        port=port,
        threads=threads,
        connection_limit=room_for_connections(threads),
        **WAITRESS,
    )
    server.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
