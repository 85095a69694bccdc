"""A real pretix 2026.8.0 for tests: started and stopped on its own data, its API and its database open to questions."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.support.box import REPOSITORY, free_port

PRETIX_CURRENT = Path(os.environ.get("EDGEBOX_PRETIX_CURRENT") or REPOSITORY.parent / "shared" / "pretix-current")

# Building its environment downloads some hundred packages; starting it loads all of Django.
START_TIMEOUT_S = 900.0
STOP_TIMEOUT_S = 60.0
HTTP_TIMEOUT_S = 60.0
# SQLite as pretix uses it lets one write at a time; wait as long as pretix does.
DATABASE_TIMEOUT_S = 30.0


class CurrentPretix:
    """The server on `data_dir`, seeded at the first start. `directory` has its run.sh.

    `fixtures` tells its tokens, lists, items, questions and named tickets.
    """

    def __init__(self, directory: Path, data_dir: Path) -> None:
        self.directory, self.data_dir = directory, data_dir
        self.port = free_port()
        self.fixtures: dict[str, Any] = {}
        self._taken: set[str] = set()
        self._http = requests.Session()
        self._http.trust_env = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> CurrentPretix:
        """Returns when it answers."""
        self._run("start", START_TIMEOUT_S)
        self.fixtures = json.loads((self.data_dir / "fixtures.json").read_text(encoding="utf-8"))
        self._http.headers["Authorization"] = f"Token {self.fixtures['team_api_token']}"
        return self

    def stop(self) -> None:
        """No harm where it is not running."""
        pid_file = self.data_dir / "gunicorn.pid"
        pid = int(pid_file.read_text()) if pid_file.exists() else None
        if pid is None:
            return
        group = os.getpgid(pid)
        try:
            self._run("stop", STOP_TIMEOUT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def as_usual(self) -> CurrentPretix:
        """It answers, whatever an earlier test did to it."""
        return self if (self.data_dir / "gunicorn.pid").exists() else self.start()

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Not there meanwhile, as after a power cut; afterwards it answers again."""
        pid_file = self.data_dir / "gunicorn.pid"
        os.killpg(os.getpgid(int(pid_file.read_text())), signal.SIGKILL)
        pid_file.unlink()
        try:
            yield
        finally:
            self.start()

    def new_token(self, name: str, profile: str = "pretixscan") -> str:
        """The initialization token of one more device."""
        device = {"name": name, "all_events": True, "limit_events": [], "security_profile": profile}
        token: str = self.ask("POST", "devices/", device)["initialization_token"]
        return token

    def _run(self, command: str, timeout_s: float) -> None:
        # One worker more than the box makes requests at once; REDIS=0: nothing beside it to be stopped.
        env = {**os.environ, "DATA": str(self.data_dir), "DB": "sqlite", "REDIS": "0", "WORKERS": "3", "ORDERS": "300"}
        script = [str(self.directory / "run.sh"), str(self.port), command]
        log = self.data_dir.with_name(self.data_dir.name + ".output")
        with log.open("ab") as errors:
            done = subprocess.run(
                script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=env, timeout=timeout_s,
                check=False, text=True,
            )  # fmt: skip
        assert done.returncode == 0, (
            f"run.sh {command}: {done.stdout[-2000:]} {log.read_text(errors='replace')[-2000:]}"
        )

    # What an organizer does, with a token of their team

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Whatever the API answers to the team's token; `path` is what follows the organizer's address."""
        response = self._http.request(
            method, f"{self.url}api/v1/organizers/demoorga/{path}", json=body, params=params, timeout=HTTP_TIMEOUT_S
        )
        assert response.ok, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All rows of all pages."""
        rows: list[dict[str, Any]] = []
        page = 1
        while True:
            told = self.ask("GET", path, page=page, **params)
            rows += told["results"]
            if told["next"] is None:
                return rows
            page += 1

    def order(self, code: str, event: str = "democon") -> dict[str, Any]:
        """An order as the API tells it."""
        told: dict[str, Any] = self.ask("GET", f"events/{event}/orders/{code}/", include_canceled_positions="true")
        return told

    def sell(self, event: str, item: int, **position: Any) -> dict[str, Any]:
        """A paid order of one ticket, made just now; nobody minds quotas."""
        usual: dict[str, Any] = {"item": item, "variation": None, "price": "0.00", "answers": []}
        body = {
            "email": "new@example.org", "locale": "en", "payment_provider": "manual", "status": "p", "force": True,
            "positions": [{**usual, "attendee_name_parts": {}, **position}],
        }  # fmt: skip
        order: dict[str, Any] = self.ask("POST", f"events/{event}/orders/", body)
        return order

    # Its tickets and its database

    def take(self, status: str = "p", item: str = "Ticket") -> dict[str, Any]:
        """An order of one unused ticket of this item that no other test of this server gets."""
        named = {ticket["order"] for ticket in self.fixtures["tickets"].values()}
        rows = self.rows(
            "SELECT o.code FROM pretixbase_order o JOIN pretixbase_orderposition p ON p.order_id = o.id"
            " JOIN pretixbase_event e ON e.id = o.event_id"
            " WHERE e.slug = 'democon' AND o.status = ? AND p.item_id = ? AND NOT o.testmode AND NOT o.require_approval"
            " AND (SELECT count(*) FROM pretixbase_orderposition WHERE order_id = o.id) = 1"
            " AND NOT EXISTS (SELECT 1 FROM pretixbase_checkin c WHERE c.position_id = p.id) ORDER BY o.id",
            status,
            self.fixtures["items"][item],
        )
        free = [code for (code,) in rows if code not in named | self._taken]
        assert free, f"the seed has too few tickets ({item}, order status {status}) for these tests"
        self._taken.add(free[0])
        return self.order(free[0])

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read its database."""
        with closing(self.connect()) as database:
            return database.execute(sql, parameters).fetchall()

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.data_dir / "db.sqlite3", timeout=DATABASE_TIMEOUT_S, isolation_level=None)

    def checkins(self, position_id: int, list_id: int = 1) -> list[tuple[Any, ...]]:
        """(successful, error_reason, forced, type, nonce, datetime) of each of a position's check-ins, oldest first."""
        rows = self.rows(
            "SELECT successful, error_reason, forced, type, nonce, datetime FROM pretixbase_checkin"
            " WHERE position_id = ? AND list_id = ? ORDER BY id",
            position_id,
            list_id,
        )
        return [(bool(ok), why, bool(forced), kind, nonce, _utc(at)) for ok, why, forced, kind, nonce, at in rows]


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
