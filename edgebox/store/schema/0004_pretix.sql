-- Today's pretix, with which the box is registered as a device: address and credential of all lists registered by it.
CREATE TABLE connection (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL,
    credential TEXT NOT NULL,
    organizer TEXT NOT NULL,
    device_name TEXT NOT NULL,
    device_serial TEXT NOT NULL,
    security_profile TEXT NOT NULL,
    server_version TEXT NOT NULL,
    gate_id INTEGER,
    paired_at TEXT NOT NULL,
    removed_at TEXT
);

-- A source of a connection is one event, shared by its lists. State: how far its orders were followed; the dialect's own.
ALTER TABLE source ADD COLUMN connection_id INTEGER REFERENCES connection (id);
ALTER TABLE source ADD COLUMN event TEXT;
ALTER TABLE source ADD COLUMN state TEXT;
CREATE UNIQUE INDEX source_event ON source (connection_id, event) WHERE connection_id IS NOT NULL;

-- Upstream's id of the list, 0 where the source is one list; terms: JSON, NULL where upstream tells none.
ALTER TABLE list ADD COLUMN upstream_list INTEGER NOT NULL DEFAULT 0;
ALTER TABLE list ADD COLUMN terms TEXT;

-- What only today's pretix tells. More: JSON of all that no query looks at.
ALTER TABLE ticket ADD COLUMN position_id INTEGER;
ALTER TABLE ticket ADD COLUMN addon_to INTEGER;
ALTER TABLE ticket ADD COLUMN subevent INTEGER;
ALTER TABLE ticket ADD COLUMN is_cancelled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ticket ADD COLUMN is_closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ticket ADD COLUMN more TEXT;
CREATE UNIQUE INDEX ticket_position ON ticket (source_id, position_id) WHERE position_id IS NOT NULL;
CREATE INDEX ticket_addon ON ticket (source_id, addon_to) WHERE addon_to IS NOT NULL;

-- Check-ins that upstream told, by upstream's id of the list (0: the source's one list). The old API tells only that
-- there is one, not when: at is empty then. (No reference to ticket, as before.)
CREATE TABLE new_told_checkin (
    ticket_id INTEGER NOT NULL,
    upstream_list INTEGER NOT NULL,
    at TEXT NOT NULL,
    direction TEXT NOT NULL,
    source_id INTEGER NOT NULL REFERENCES source (id),
    PRIMARY KEY (ticket_id, upstream_list, at, direction)
) WITHOUT ROWID;
INSERT INTO new_told_checkin (ticket_id, upstream_list, at, direction, source_id)
    SELECT ticket_id, 0, '', 'entry', list.source_id FROM told_checkin JOIN list ON list.id = list_id
    ORDER BY ticket_id;
DROP TABLE told_checkin;
ALTER TABLE new_told_checkin RENAME TO told_checkin;
CREATE INDEX told_checkin_list ON told_checkin (source_id, upstream_list);

-- Secrets that let nobody in, whatever their tickets say. Kind: 'revoked' or 'blocked'.
CREATE TABLE barred_secret (
    source_id INTEGER NOT NULL REFERENCES source (id),
    secret TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (source_id, secret, kind)
) WITHOUT ROWID;

ALTER TABLE checkin ADD COLUMN direction TEXT NOT NULL DEFAULT 'entry';
DROP INDEX checkin_nonce;
CREATE UNIQUE INDEX checkin_nonce ON checkin (ticket_id, list_id, nonce, direction);
ALTER TABLE attempt ADD COLUMN direction TEXT NOT NULL DEFAULT 'entry';

-- Refused attempts of which upstream is still to be told.
ALTER TABLE attempt ADD COLUMN to_report INTEGER NOT NULL DEFAULT 0;
CREATE INDEX attempt_to_report ON attempt (list_id, id) WHERE to_report = 1;
