-- name: insert_message
-- A message is born.
INSERT INTO message (
    key, tail, prefix, account_id, direction, status, segments, updated_ms, sent_ms, expires_ms,
    error_code, attempt, flags, content, content_key, address, address_key, from_shown, to_shown,
    stretch, from_tag, to_tag, lane, callback_lane, history, price, rare
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_message
-- A fact changed it: the whole mutable state of the latest change.
UPDATE message
SET status = ?2, updated_ms = ?3, sent_ms = ?4, error_code = ?5, attempt = ?6, flags = ?7,
    history = ?8, price = ?9
WHERE key = ?1;

-- name: address_message
-- Its sender was chosen: the address is sealed again, with the sender's index value.
UPDATE message SET address = ?2, from_tag = ?3, from_shown = ?5
WHERE key = ?1 AND address_key = ?4;

-- name: forget_content
-- The content key is destroyed: drop what it sealed.
UPDATE message SET content = NULL, content_key = NULL WHERE key = ? AND content_key = ?;

-- name: forget_address
-- The address key is destroyed: drop what it sealed and the person's index value.
UPDATE message
SET address = NULL, address_key = NULL,
    from_tag = CASE direction WHEN 'inbound' THEN NULL ELSE from_tag END,
    to_tag = CASE direction WHEN 'inbound' THEN to_tag ELSE NULL END
WHERE key = ?1 AND address_key = ?2;

-- name: unname_message
-- Its address is withheld: drop the person's index value, as `forget_address` does.
UPDATE message
SET from_tag = CASE direction WHEN 'inbound' THEN NULL ELSE from_tag END,
    to_tag = CASE direction WHEN 'inbound' THEN to_tag ELSE NULL END
WHERE key = ?1;

-- name: show_message
-- What will be left of its address, before the address is forgotten.
UPDATE message SET from_shown = ?2, to_shown = ?3 WHERE key = ?1 AND from_shown IS NULL;

-- name: expired
-- Messages of an account from a key on, below another, of which something is left.
SELECT key FROM message
WHERE account_id = ?1 AND key >= ?2 AND key < ?3
  AND (?4 OR (?5 AND content_key IS NOT NULL AND NOT flags & 32)
          OR (?6 AND address_key IS NOT NULL AND NOT flags & 64))
  AND NOT flags & 128
ORDER BY key LIMIT ?7;

-- name: first_message
-- The first message of an account from a key on.
SELECT min(key) FROM message WHERE account_id = ? AND key >= ?;

-- name: delete_message
-- The row goes once its keys are destroyed.
DELETE FROM message WHERE key = ?;

-- name: finish_delete
-- The sweep's: only while the row still names the key that is gone.
DELETE FROM message WHERE key = ? AND address_key = ?;

-- name: messages_by_keys
-- Many messages, by a JSON array of keys.
SELECT * FROM message WHERE key IN (SELECT value FROM json_each(?));

-- name: last_key
-- The newest message key, so that new ones only grow.
SELECT max(key) FROM message;

-- name: list_down
-- A page of an account, newest first: below a key, at or above a floor, sent within a span.
SELECT * FROM message
WHERE account_id = ?1 AND key < ?2 AND key >= ?3
  AND (?4 IS NULL OR sent_ms >= ?4) AND (?5 IS NULL OR sent_ms < ?5)
ORDER BY key DESC LIMIT ?6;

-- name: list_up
-- The same from the floor up, oldest first: the page before a record.
SELECT * FROM message
WHERE account_id = ?1 AND key < ?2 AND key >= ?3
  AND (?4 IS NULL OR sent_ms >= ?4) AND (?5 IS NULL OR sent_ms < ?5)
ORDER BY key ASC LIMIT ?6;

-- name: list_to_down
-- One recipient in one stretch, by keyed hash, newest first.
SELECT * FROM message
WHERE stretch = ?7 AND to_tag = ?8 AND account_id = ?1 AND key < ?2 AND key >= ?3
  AND (?4 IS NULL OR sent_ms >= ?4) AND (?5 IS NULL OR sent_ms < ?5)
ORDER BY key DESC LIMIT ?6;

-- name: list_to_up
-- The same, oldest first.
SELECT * FROM message
WHERE stretch = ?7 AND to_tag = ?8 AND account_id = ?1 AND key < ?2 AND key >= ?3
  AND (?4 IS NULL OR sent_ms >= ?4) AND (?5 IS NULL OR sent_ms < ?5)
ORDER BY key ASC LIMIT ?6;

-- name: list_from_down
-- One sender in one stretch, by keyed hash, newest first.
SELECT * FROM message
WHERE stretch = ?7 AND from_tag = ?8 AND account_id = ?1 AND key < ?2 AND key >= ?3
  AND (?4 IS NULL OR sent_ms >= ?4) AND (?5 IS NULL OR sent_ms < ?5)
ORDER BY key DESC LIMIT ?6;

-- name: list_from_up
-- The same, oldest first.
SELECT * FROM message
WHERE stretch = ?7 AND from_tag = ?8 AND account_id = ?1 AND key < ?2 AND key >= ?3
  AND (?4 IS NULL OR sent_ms >= ?4) AND (?5 IS NULL OR sent_ms < ?5)
ORDER BY key ASC LIMIT ?6;

-- name: key_span
-- The oldest and newest message key of an account.
SELECT min(key), max(key) FROM message WHERE account_id = ?;

-- name: key_refs
-- Every vault key the messages refer to, for the sweep.
SELECT key, content_key, address_key, from_shown IS NULL AND NOT flags & 128 FROM message WHERE key > ? ORDER BY key LIMIT ?;

-- name: stretch_below
-- The last stretch below one, from another on.
SELECT max(stretch) FROM message WHERE stretch < ?1 AND stretch >= ?2;

-- name: stretch_above
-- The first stretch above one, below another.
SELECT min(stretch) FROM message WHERE stretch > ?1 AND stretch < ?2;

-- name: last_stretch
-- The newest stretch, so that new ones only grow.
SELECT max(stretch) FROM message;

-- name: waiting_segments
-- How many segments of each sender wait to be submitted; those that are marked do not.
SELECT account_id, from_tag, sum(segments) FROM task JOIN message ON key = record
WHERE number = 0 AND kind = ? AND task.attempt = message.attempt
GROUP BY account_id, from_tag;
