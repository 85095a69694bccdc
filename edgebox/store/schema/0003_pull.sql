-- Less to write for a pull, which is what wears a card out.

-- A trigger makes of each ticket's name a piece of the full-text index of its own, on disk at once, only to be merged
-- with the others again: most of what a pull wrote. The store adds the names of a slice together (store/names.py).
DROP TRIGGER ticket_name_insert;
DROP TRIGGER ticket_name_delete;
DROP TRIGGER ticket_name_update;

-- Secrets are mostly written as search compares them anyway: these are found by `ticket_secret`, only the others here.
DROP INDEX ticket_folded_secret;
CREATE INDEX ticket_folded_secret ON ticket (source_id, folded_secret) WHERE folded_secret <> secret;
