-- Lists whose personal data is gone, or on its way out. ended_at NULL: a purge was interrupted and has to go on.
-- is_rewritten: nor is there a trace of it in the free space of the database and its log.
CREATE TABLE purge (
    list_id INTEGER PRIMARY KEY REFERENCES list (id),
    begun_at TEXT NOT NULL,
    ended_at TEXT,
    is_rewritten INTEGER NOT NULL DEFAULT 0
);

-- What remains of a purged list: how many attempts there were. Minute: its beginning, in UTC. Item and variation: 0
-- where there is none or nobody knows. Verdict: as in attempt, 'ok' is a check-in; 'undone' and 'repeat' speak for
-- themselves.
CREATE TABLE remains (
    list_id INTEGER NOT NULL REFERENCES list (id),
    minute TEXT NOT NULL,
    item_id INTEGER NOT NULL,
    variation_id INTEGER NOT NULL,
    direction TEXT NOT NULL,
    verdict TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (list_id, minute, item_id, variation_id, direction, verdict)
) WITHOUT ROWID;
