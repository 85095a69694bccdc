-- Devices of a second dialect. Their QR code has a token that works once; `key` is then the digest of what the session
-- shows (of nothing that anybody knows, before). Phone: JSON of what it said of itself.
ALTER TABLE device ADD COLUMN app TEXT NOT NULL DEFAULT 'pretixdroid';
ALTER TABLE device ADD COLUMN setup_token TEXT;
ALTER TABLE device ADD COLUMN phone TEXT;
ALTER TABLE device ADD COLUMN is_to_wipe INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX device_setup_token ON device (setup_token) WHERE setup_token IS NOT NULL;

-- Most lists have none.
CREATE INDEX checkin_exit ON checkin (list_id, ticket_id) WHERE direction = 'exit';
-- Those that are not pushed, as long as their time may have to be corrected.
CREATE INDEX checkin_untrusted ON checkin (list_id) WHERE state = 'kept' AND stamp = 'untrusted';
