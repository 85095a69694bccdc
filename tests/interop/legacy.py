"""A real pretix 3.5.0 for tests: started, stopped and started again on its own data, its database open to questions."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.support.box import as_form, free_port

# Building its environment downloads some sixty packages; starting it loads all of Django.
SETUP_TIMEOUT_S = 600.0
START_TIMEOUT_S = 90.0
# Its workers end when their last keep-alive connection has been idle for two seconds.
STOP_TIMEOUT_S = 45.0
POLL_INTERVAL_S = 0.1
HTTP_TIMEOUT_S = 30.0
# SQLite as pretix uses it lets one write at a time; wait as long as pretix does.
DATABASE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class CheckInRow:
    """One row of pretixbase_checkin: what pretix holds to be the check-in of this ticket and list."""

    list_id: int
    datetime: datetime
    nonce: str | None


@dataclass(frozen=True)
class LogRow:
    """One `pretix.event.checkin` entry of its log: every accepted redeem leaves one, except a repeat of a nonce."""

    list_id: int
    datetime: datetime
    first: bool
    forced: bool


class LegacyPretix:
    """The server on `data_dir`, seeded at the first start with the event demoorga/democon.

    `directory` has its run.sh and setup.sh. `seed` tells its keys, lists, items, questions and named tickets.
    """

    def __init__(self, directory: Path, data_dir: Path) -> None:
        self.directory, self.data_dir = directory, data_dir
        self.port = free_port()
        self.seed: dict[str, Any] = {}
        self.has_plain_begin = False
        self._process: subprocess.Popen[bytes] | None = None
        self._taken: set[int] = set()
        self._http = requests.Session()
        self._http.trust_env = False

    # The process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, plain_begin: bool = False) -> LegacyPretix:
        """Build its environment if need be, seed it if it is empty, start it, and return when it answers.

        `plain_begin` brings back its sporadic 500s (`database is locked`) under concurrent redeems.
        """
        assert self._process is None, "pretix is running already"
        self.has_plain_begin = plain_begin
        log = self.data_dir.with_name(self.data_dir.name + ".output")
        env = {**os.environ, "DATA_DIR": str(self.data_dir)}
        if plain_begin:
            env["PRETIX_OLD_PLAIN_BEGIN"] = "1"
        with log.open("ab") as output:
            setup = [str(self.directory / "setup.sh")]
            subprocess.run(setup, stdout=output, stderr=output, env=env, timeout=SETUP_TIMEOUT_S, check=True)
            self._process = subprocess.Popen(
                [str(self.directory / "run.sh"), str(self.port)], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, env=env, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                shown = log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"pretix did not come up on port {self.port}\n{shown}")
            time.sleep(POLL_INTERVAL_S)
        self.seed = json.loads((self.data_dir / "seed.json").read_text(encoding="utf-8"))
        return self

    def as_usual(self) -> LegacyPretix:
        """Whatever a test has left: running, and without sporadic 500s."""
        if not self.is_running or self.has_plain_begin:
            self.kill()
            self.start()
        return self

    def stop(self) -> None:
        """End it as an administrator would (SIGTERM) and wait until it is gone."""
        assert self._process is not None, "pretix is not running"
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and its workers at once; no harm where it is not running."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            return self._http.get(f"{self.url}status/", timeout=5).status_code == 403
        except requests.RequestException:
            return False

    # What it is asked over HTTP, past the box

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address to register its check-in lists by."""
        return f"{self.origin}/pretixdroid/api/demoorga/democon/"

    def key(self, config: str) -> str:
        """The key of `full`, `restricted`, `vip_list` or `pending_list`."""
        key: str = self.seed["configs"][config]["key"]
        return key

    def list_id(self, config: str) -> int:
        """The id of the check-in list that this key belongs to."""
        number: int = self.seed["configs"][config]["list_id"]
        return number

    def redeem(self, config: str, secret: str, **form: object) -> requests.Response:
        """POST `redeem/` at the server itself, as any other client of it would."""
        fields = as_form({"secret": secret, **form})
        return self._http.post(
            f"{self.url}redeem/", params={"key": self.key(config)}, data=fields, timeout=HTTP_TIMEOUT_S
        )

    def get(self, config: str, endpoint: str, **params: str) -> dict[str, Any]:
        """The JSON of `search/`, `download/` or `status/`."""
        response = self._http.get(
            f"{self.url}{endpoint}", params={"key": self.key(config), **params}, timeout=HTTP_TIMEOUT_S
        )
        assert response.status_code == 200, f"{endpoint}: {response.status_code} {response.text[:500]}"
        answer: dict[str, Any] = response.json()
        return answer

    # Its tickets and its database

    def case(self, name: str) -> str:
        """The secret of one of the seed's named tickets."""
        secret: str = self.seed["cases"][name]["secret"]
        return secret

    def take(self, count: int, item: str = "Ticket", status: str = "p") -> list[str]:
        """Secrets of tickets that no other test of this server gets: unused, each of another order of this status."""
        named = [case["order"] for case in self.seed["cases"].values()]
        rows = self.rows(
            "SELECT min(p.secret), o.id FROM pretixbase_orderposition p JOIN pretixbase_order o ON o.id = p.order_id"
            " WHERE o.status = ? AND p.item_id = ? AND NOT p.canceled AND NOT EXISTS"
            "  (SELECT 1 FROM pretixbase_checkin c WHERE c.position_id = p.id)"
            " AND o.code NOT IN (SELECT value FROM json_each(?)) GROUP BY o.id ORDER BY o.id",
            status,
            self.seed["items"][item],
            json.dumps(named),
        )
        free = [(secret, order) for secret, order in rows if order not in self._taken][:count]
        assert len(free) == count, f"the seed has too few tickets ({item}, order status {status}) for these tests"
        self._taken |= {order for _, order in free}
        return [secret for secret, _ in free]

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read its database."""
        with closing(self._connect()) as database:
            return database.execute(sql, parameters).fetchall()

    def change(self, sql: str, *parameters: object) -> None:
        """Write to its database; raises AssertionError where nothing was changed."""
        with closing(self._connect()) as database, database:
            changed = database.execute(sql, parameters).rowcount
        assert changed > 0, f"nothing was changed by {sql}"

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.data_dir / "db.sqlite3", timeout=DATABASE_TIMEOUT_S)

    def checkins(self, secret: str) -> list[CheckInRow]:
        """The check-ins of this ticket, on all lists."""
        rows = self.rows(
            "SELECT c.list_id, c.datetime, c.nonce FROM pretixbase_checkin c"
            " JOIN pretixbase_orderposition p ON p.id = c.position_id WHERE p.secret = ? ORDER BY c.id",
            secret,
        )
        return [CheckInRow(list_id, utc(moment), nonce) for list_id, moment, nonce in rows]

    def log(self, secret: str) -> list[LogRow]:
        """The check-in log of this ticket, oldest first."""
        ((position, order),) = self.rows("SELECT id, order_id FROM pretixbase_orderposition WHERE secret = ?", secret)
        rows = self.rows(
            "SELECT l.data FROM pretixbase_logentry l JOIN django_content_type t ON t.id = l.content_type_id"
            " WHERE t.app_label = 'pretixbase' AND t.model = 'order' AND l.object_id = ?"
            " AND l.action_type = 'pretix.event.checkin' ORDER BY l.id",
            order,
        )
        entries = [json.loads(data) for (data,) in rows]
        return [
            LogRow(entry["list"], utc(entry["datetime"]), entry["first"], entry["forced"])
            for entry in entries
            if entry["position"] == position
        ]

    def answers(self, secret: str) -> dict[int, str]:
        """The answers kept for this ticket: question id to text."""
        rows = self.rows(
            "SELECT a.question_id, a.answer FROM pretixbase_questionanswer a"
            " JOIN pretixbase_orderposition p ON p.id = a.orderposition_id WHERE p.secret = ?",
            secret,
        )
        return dict(rows)

    def undo(self, secret: str, list_id: int) -> None:
        """Take the check-in back, as its back office does by deleting the row."""
        self.change(
            "DELETE FROM pretixbase_checkin WHERE list_id = ? AND position_id ="
            " (SELECT id FROM pretixbase_orderposition WHERE secret = ?)",
            list_id,
            secret,
        )

    def set_order_status(self, secret: str, status: str) -> None:
        """Make the ticket's order paid `p`, pending `n`, expired `e` or cancelled `c`."""
        self.change(
            "UPDATE pretixbase_order SET status = ? WHERE id ="
            " (SELECT order_id FROM pretixbase_orderposition WHERE secret = ?)",
            status,
            secret,
        )

    def sell(self, secret: str, like: str, name: str) -> None:
        """Sell one more ticket at the door: a new paid order with one position, in all else like that of `like`."""
        with closing(self._connect()) as database, database:
            database.execute(
                "CREATE TEMP TABLE sold AS SELECT * FROM pretixbase_order WHERE id ="
                " (SELECT order_id FROM pretixbase_orderposition WHERE secret = ?)",
                (like,),
            )
            change = "UPDATE sold SET id = NULL, code = ?, secret = ?, status = 'p'"
            database.execute(change, (secret[:5].upper(), secret[:16]))
            order = database.execute("INSERT INTO pretixbase_order SELECT * FROM sold").lastrowid
            database.execute(
                "CREATE TEMP TABLE position AS SELECT * FROM pretixbase_orderposition WHERE secret = ?", (like,)
            )
            database.execute(
                "UPDATE position SET id = NULL, order_id = ?, secret = ?, web_secret = ?, pseudonymization_id = ?,"
                " attendee_name_cached = ?, attendee_name_parts = ?",
                (order, secret, secret[:16], secret[:10].upper(), name, json.dumps({"full_name": name})),
            )
            database.execute("INSERT INTO pretixbase_orderposition SELECT * FROM position")


def utc(text: str) -> datetime:
    """A moment as pretix wrote it: its database leaves out the offset, which is UTC's; its log has one."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
