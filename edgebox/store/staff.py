"""Staff: their passwords, the codes that let somebody set one, and what they did."""

from __future__ import annotations

import contextlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from edgebox.instants import from_text, to_text
from edgebox.store.db import Connection, NotWritable
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer

CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Nothing that is mistaken for something else when it is read from a terminal and typed on a phone."""
CODE_LENGTH = 10


class Role(StrEnum):
    """What somebody at the status page may do: `gate` sees, finds and scans, `lead` does everything."""

    GATE = "gate"
    LEAD = "lead"


@dataclass(frozen=True, slots=True)
class Credential:
    """A role's password, hashed. `session` is part of every session; raising it ends them."""

    role: Role
    password_hash: str | None = field(repr=False)
    code: str | None = field(repr=False)
    session: int


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that staff did."""

    at: datetime
    staff_name: str
    role: str
    action: str
    about: str


class Staff:
    """One password a role."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    def credential(self, role: Role) -> Credential:
        """How the role stands."""
        with self._readers.reading() as connection:
            row = connection.execute("SELECT * FROM staff WHERE role = ?", (role,)).fetchone()
        return Credential(role, row["password_hash"], row["code"], row["session"])

    def code(self, role: Role) -> str | None:
        """The single-use code with which the role's password can be set; None once it is set.

        Made when it is first asked for.
        """
        credential = self.credential(role)
        if credential.password_hash is not None or credential.code is not None:
            return credential.code

        def job(connection: Connection) -> None:
            connection.execute("UPDATE staff SET code = ? WHERE role = ? AND code IS NULL", (_new_code(), role))

        self._writer.write(job)
        return self.credential(role).code

    def is_code(self, role: Role, code: str) -> bool:
        """Whether the role's password can be set with this code."""
        return _is_same(self.credential(role).code, code)

    def set_password(self, role: Role, password_hash: str, *, code: str | None) -> bool:
        """Set a role's password, which uses its code up; False, and nothing set, when `code` is not the role's.

        `code` None: whoever asks may do so anyway. Ends the role's sessions.
        """

        def job(connection: Connection) -> bool:
            have = connection.execute("SELECT code FROM staff WHERE role = ?", (role,)).fetchone()["code"]
            if code is not None and not _is_same(have, code):
                return False
            connection.execute(
                "UPDATE staff SET password_hash = ?, code = NULL, session = session + 1 WHERE role = ?",
                (password_hash, role),
            )
            return True

        return self._writer.write(job)

    def reset(self, role: Role) -> str:
        """Forget a role's password and end its sessions; the new code with which one can be set."""
        code = _new_code()
        self._writer.write(
            lambda connection: connection.execute(
                "UPDATE staff SET password_hash = NULL, code = ?, session = session + 1 WHERE role = ?", (code, role)
            )
        )
        return code

    def did(self, deed: Deed) -> None:
        """Keep what somebody did."""
        self._writer.write(
            lambda connection: connection.execute(
                "INSERT INTO deed (at, staff_name, role, action, about) VALUES (?, ?, ?, ?, ?)",
                (to_text(deed.at), deed.staff_name, deed.role, deed.action, deed.about),
            )
        )

    def deeds(self, limit: int) -> list[Deed]:
        """What was done, newest first."""
        with self._readers.reading() as connection:
            rows = connection.execute("SELECT * FROM deed ORDER BY id DESC LIMIT ?", (limit,))
            return [
                Deed(from_text(row["at"]), row["staff_name"], row["role"], row["action"], row["about"]) for row in rows
            ]

    def session_secret(self) -> str:
        """What the sessions' cookies are signed with: made once, so that a restart logs nobody out.

        Where it cannot be kept, one that lasts until the next start: a full disk must not keep the box from starting.
        """
        new = secrets.token_hex(32)

        def job(connection: Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO own_secret (name, value) VALUES ('session', ?)", (new,))

        if self._kept_secret() is None:
            with contextlib.suppress(NotWritable):
                self._writer.write(job)
        return self._kept_secret() or new

    def _kept_secret(self) -> str | None:
        with self._readers.reading() as connection:
            row = connection.execute("SELECT value FROM own_secret WHERE name = 'session'").fetchone()
        return row["value"] if row else None


def _is_same(have: str | None, code: str) -> bool:
    return have is not None and hmac.compare_digest(have.encode(), code.encode())


def _new_code() -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
