-- name: media_names
-- The object of every medium, for a backup.
SELECT name FROM media;

-- name: newest_keys
-- The vault keys of the newest messages: a vault that is too old lacks these.
SELECT content_key, address_key FROM message ORDER BY key DESC LIMIT ?;

-- name: account_keys
-- The vault keys that open everything else of each account, the first account's first.
SELECT sid, key_ref FROM account ORDER BY id;

-- name: waiting_tasks
-- Tasks of one kind that were due by a time: of a restored database, before anything runs.
SELECT record, number, kind, lane, due_ms, attempt, detail, ref, held FROM task
WHERE kind = ? AND due_ms <= ?;
