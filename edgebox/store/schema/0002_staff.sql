-- Staff: a password a role. The code lets somebody set it, once: at the first visit, or after a reset. Raising
-- `session` ends every session of the role.
CREATE TABLE staff (
    role TEXT PRIMARY KEY,
    password_hash TEXT,
    code TEXT,
    session INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
INSERT INTO staff (role) VALUES ('lead'), ('gate');

-- What staff did, and who it was.
CREATE TABLE deed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    staff_name TEXT NOT NULL,
    role TEXT NOT NULL,
    action TEXT NOT NULL,
    about TEXT NOT NULL
);

-- What staff want others to know about a ticket.
CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket_id INTEGER NOT NULL REFERENCES ticket (id),
    at TEXT NOT NULL,
    staff_name TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX note_ticket ON note (ticket_id);

-- Syncs, for the log. A failure that repeats raises the count.
CREATE TABLE sync_run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id INTEGER NOT NULL,
    verb TEXT NOT NULL,
    at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    duration_s REAL NOT NULL,
    is_ok INTEGER NOT NULL,
    text TEXT NOT NULL
);

-- Sync of a paused list stops; scanning goes on.
ALTER TABLE list ADD COLUMN is_paused INTEGER NOT NULL DEFAULT 0;

-- A check-in by hand has no device but a person; forced by hand, also a reason.
ALTER TABLE checkin ADD COLUMN staff_name TEXT;
ALTER TABLE checkin ADD COLUMN staff_reason TEXT;

-- An undo is a row of its own; the check-in's state becomes 'cancelled' and it no longer counts.
CREATE TABLE cancellation (
    checkin_id INTEGER PRIMARY KEY REFERENCES checkin (id),
    at TEXT NOT NULL,
    staff_name TEXT NOT NULL,
    reason TEXT NOT NULL
);

-- What the box must keep to itself: with it the sessions' cookies are signed.
CREATE TABLE own_secret (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX checkin_device ON checkin (device_id);

-- An attempt by hand has no device but a person. (SQLite cannot take NOT NULL off a column: the table is made anew.)
CREATE TABLE new_attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id INTEGER NOT NULL,
    device_id INTEGER,
    staff_name TEXT,
    ticket_id INTEGER,
    secret TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verdict TEXT NOT NULL,
    is_forced INTEGER NOT NULL,
    at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 1
);
INSERT INTO new_attempt (id, list_id, device_id, ticket_id, secret, nonce, verdict, is_forced, at, last_at, count)
    SELECT id, list_id, device_id, ticket_id, secret, nonce, verdict, is_forced, at, last_at, count FROM attempt
    ORDER BY id;
DROP TABLE attempt;
ALTER TABLE new_attempt RENAME TO attempt;
CREATE UNIQUE INDEX attempt_repeat ON attempt (nonce, secret, device_id, list_id, verdict) WHERE nonce <> '';
CREATE INDEX attempt_secret ON attempt (secret);
CREATE INDEX attempt_at ON attempt (at);
CREATE INDEX attempt_foreign ON attempt (device_id)
    WHERE verdict = 'unknown_ticket' AND is_forced = 1 AND count > 2;
