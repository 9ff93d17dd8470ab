-- name: insert_entry
-- Something happened.
INSERT INTO entry (sid, kind, account_id, at_ms, subject, content) VALUES (?, ?, ?, ?, ?, ?);

-- name: entries
-- Entries of an account and kind in a span of time, newest first, below an id.
SELECT id, sid, content FROM entry
WHERE account_id = ? AND kind = ? AND at_ms >= ? AND at_ms < ? AND id < ?
ORDER BY at_ms DESC, id DESC LIMIT ?;

-- name: entries_up
-- The same, oldest first, above an id.
SELECT id, sid, content FROM entry
WHERE account_id = ? AND kind = ? AND at_ms >= ? AND at_ms < ? AND id > ?
ORDER BY at_ms, id LIMIT ?;

-- name: entry
-- One entry.
SELECT id, kind, account_id, content FROM entry WHERE sid = ?;

-- name: entries_of
-- What happened to one thing, oldest first.
SELECT id, sid, content FROM entry WHERE subject = ? AND kind = ? ORDER BY id;

-- name: oldest_entry
-- When the oldest entry happened.
SELECT at_ms FROM entry ORDER BY id LIMIT 1;

-- name: delete_entries_of
-- What they are about is gone.
DELETE FROM entry WHERE subject = ?;

-- name: delete_entries_before
-- Those of the oldest entries that are kept no longer.
DELETE FROM entry WHERE id IN (
    SELECT id FROM (SELECT id, at_ms FROM entry ORDER BY id LIMIT 500) WHERE at_ms < ?
);
