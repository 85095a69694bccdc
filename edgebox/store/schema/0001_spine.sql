-- The numbers that tell earlier from later: each request for tickets and each settlement takes the next one.
-- Probes: how often it was tried whether anything can be written.
CREATE TABLE counter (
    value INTEGER NOT NULL,
    probes INTEGER NOT NULL
);
INSERT INTO counter (value, probes) VALUES (0, 0);

-- Where tickets come from. Catalog: JSON of what upstream tells beside its tickets.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    credential TEXT NOT NULL,
    catalog TEXT,
    told INTEGER NOT NULL DEFAULT 0,
    last_pull TEXT,
    last_pull_duration_s REAL NOT NULL DEFAULT 0
);

CREATE TABLE list (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id INTEGER NOT NULL REFERENCES source (id),
    organizer TEXT NOT NULL,
    event TEXT NOT NULL,
    subevent INTEGER,
    name TEXT NOT NULL,
    added_at TEXT NOT NULL,
    removed_at TEXT,
    last_push TEXT
);

-- Ids are never given twice: attempts name tickets that may be gone.
CREATE TABLE ticket (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id INTEGER NOT NULL REFERENCES source (id),
    secret TEXT NOT NULL,
    order_code TEXT NOT NULL,
    item_id INTEGER NOT NULL,
    variation_id INTEGER,
    attendee_name TEXT,
    attention INTEGER NOT NULL,
    is_paid INTEGER NOT NULL,
    checkin_allowed INTEGER NOT NULL,
    addons_text TEXT NOT NULL,
    is_withdrawn INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL,
    folded_name TEXT NOT NULL,
    folded_secret TEXT NOT NULL,
    folded_code TEXT NOT NULL
);
CREATE UNIQUE INDEX ticket_secret ON ticket (source_id, secret);
CREATE INDEX ticket_folded_secret ON ticket (source_id, folded_secret);
CREATE INDEX ticket_folded_code ON ticket (source_id, folded_code);
-- The positions that a list counts.
CREATE INDEX ticket_counted ON ticket (source_id, item_id, variation_id)
    WHERE is_withdrawn = 0 AND (is_paid = 1 OR checkin_allowed = 1);

-- Names, by any three characters in a row.
CREATE VIRTUAL TABLE ticket_name USING fts5 (
    folded_name, content = 'ticket', content_rowid = 'id', tokenize = 'trigram case_sensitive 1'
);
CREATE TRIGGER ticket_name_insert AFTER INSERT ON ticket
BEGIN
    INSERT INTO ticket_name (rowid, folded_name) VALUES (new.id, new.folded_name);
END;
CREATE TRIGGER ticket_name_delete AFTER DELETE ON ticket
BEGIN
    INSERT INTO ticket_name (ticket_name, rowid, folded_name) VALUES ('delete', old.id, old.folded_name);
END;
CREATE TRIGGER ticket_name_update AFTER UPDATE OF folded_name ON ticket WHEN old.folded_name <> new.folded_name
BEGIN
    INSERT INTO ticket_name (ticket_name, rowid, folded_name) VALUES ('delete', old.id, old.folded_name);
    INSERT INTO ticket_name (rowid, folded_name) VALUES (new.id, new.folded_name);
END;

-- Check-ins that upstream told, by list. The old API tells only that there is one, not when.
-- (No reference to ticket, nor in held: for each ticket that is deleted, SQLite would look through the whole table.)
CREATE TABLE told_checkin (
    list_id INTEGER NOT NULL REFERENCES list (id),
    ticket_id INTEGER NOT NULL,
    PRIMARY KEY (list_id, ticket_id)
) WITHOUT ROWID;

-- What a pull would take away and that waits for staff, or that staff rejected. Kind: 'ticket' or 'checkin'.
CREATE TABLE held (
    source_id INTEGER NOT NULL REFERENCES source (id),
    ticket_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    is_rejected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source_id, ticket_id, kind)
) WITHOUT ROWID;

CREATE TABLE device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    item_ids TEXT,
    allow_search INTEGER NOT NULL,
    show_info INTEGER NOT NULL,
    added_at TEXT NOT NULL,
    revoked_at TEXT,
    last_seen_at TEXT,
    user_agent TEXT
);
CREATE UNIQUE INDEX device_name ON device (name) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX device_key ON device (key) WHERE revoked_at IS NULL;
CREATE TABLE device_list (
    device_id INTEGER NOT NULL REFERENCES device (id),
    list_id INTEGER NOT NULL REFERENCES list (id),
    PRIMARY KEY (device_id, list_id)
) WITHOUT ROWID;

-- The journal: one row an accepted redeem; rows are never deleted. settled_number is NULL until upstream acknowledged.
CREATE TABLE checkin (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id INTEGER NOT NULL REFERENCES list (id),
    ticket_id INTEGER NOT NULL REFERENCES ticket (id),
    device_id INTEGER REFERENCES device (id),
    secret TEXT NOT NULL,
    nonce TEXT NOT NULL,
    datetime TEXT NOT NULL,
    stamp TEXT NOT NULL,
    received_at TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    boottime_s REAL NOT NULL,
    is_forced INTEGER NOT NULL,
    is_offline INTEGER NOT NULL,
    ignores_unpaid INTEGER NOT NULL,
    answers TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    push_note TEXT,
    settled_number INTEGER,
    settled_at TEXT,
    conflict TEXT,
    conflict_note TEXT,
    conflict_opened_at TEXT,
    conflict_closed_at TEXT,
    closed_reason TEXT
);
CREATE UNIQUE INDEX checkin_nonce ON checkin (ticket_id, list_id, nonce);
CREATE INDEX checkin_secret ON checkin (secret);
CREATE INDEX checkin_pending ON checkin (list_id, id) WHERE state = 'pending';
CREATE INDEX checkin_settled ON checkin (list_id, settled_number);
CREATE INDEX checkin_conflict ON checkin (list_id, id) WHERE conflict IS NOT NULL AND conflict_closed_at IS NULL;
CREATE INDEX checkin_received ON checkin (received_at);

-- Refusals, and repeats of a check-in's nonce. A repeat of the same nonce with the same verdict raises the count.
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id INTEGER NOT NULL,
    device_id INTEGER NOT NULL,
    ticket_id INTEGER,
    secret TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verdict TEXT NOT NULL,
    is_forced INTEGER NOT NULL,
    at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX attempt_repeat ON attempt (nonce, secret, device_id, list_id, verdict) WHERE nonce <> '';
CREATE INDEX attempt_secret ON attempt (secret);
CREATE INDEX attempt_at ON attempt (at);
-- Entries that a device sends again and again although nobody here knows the ticket.
CREATE INDEX attempt_foreign ON attempt (device_id)
    WHERE verdict = 'unknown_ticket' AND is_forced = 1 AND count > 2;
