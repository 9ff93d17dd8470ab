-- name: insert_legal_hold
-- Nothing in its scope is destroyed from now on.
INSERT INTO legal_hold (sid, account_id, message, tag, author, reason, set_ms, lifted_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, NULL);

-- name: legal_holds
-- Every legal hold, lifted or not, in the order in which they were set.
SELECT sid, account_id, message, tag, author, reason, set_ms, lifted_ms FROM legal_hold
ORDER BY set_ms, sid;

-- name: lift_legal_hold
-- It is in force no longer.
UPDATE legal_hold SET lifted_ms = ?2 WHERE sid = ?1 AND lifted_ms IS NULL;

-- name: hasten_lane
-- What waits in a lane is looked at now.
UPDATE task SET due_ms = ?3 WHERE held = 0 AND kind = ?1 AND lane = ?2 AND due_ms > ?3;

-- name: hasten_withheld
-- Minimums changed: what is withheld of an account is looked at now.
UPDATE task SET due_ms = ?3
WHERE held = 0 AND kind = ?1 AND lane = ?2 AND number = ?4 AND due_ms > ?3
  AND (SELECT flags & 224 FROM message WHERE key = record AND account_id = ?5);

-- name: withheld_count
-- What is withheld of an account: rows, contents, addresses.
SELECT count(*) FILTER (WHERE flags & 128), count(*) FILTER (WHERE flags & 32),
       count(*) FILTER (WHERE flags & 64)
FROM (SELECT DISTINCT record FROM task WHERE kind = ?1 AND number IN (1, 10))
JOIN message ON key = record
WHERE account_id = ?2 AND flags & 224;

-- name: withheld_media_count
-- Media of an account that are withheld: each of them has a task that waits.
SELECT count(*) FROM task JOIN media ON media.record = task.record
WHERE kind = ?1 AND lane = ?2 AND account_id = ?3 AND withheld = 1;

-- name: oldest_live
-- The first of so many rows from a key on of which that part is live; and the last one looked at.
SELECT min(key) FILTER (
    WHERE NOT flags & 128 AND (?4 OR (?5 AND content_key IS NOT NULL AND NOT flags & 32)
                                  OR (?6 AND address_key IS NOT NULL AND NOT flags & 64))
), max(key), count(*)
FROM (SELECT key, flags, content_key, address_key FROM message
      WHERE account_id = ?1 AND key >= ?2 ORDER BY key LIMIT ?3);

-- name: live_count
-- How many of so many rows from a key on are live, how many of them are below another key, and
-- how many rows there were.
SELECT count(*) FILTER (WHERE live), count(*) FILTER (WHERE live AND key < ?7), count(*)
FROM (SELECT key, NOT flags & 128
             AND (?4 OR (?5 AND content_key IS NOT NULL AND NOT flags & 32)
                     OR (?6 AND address_key IS NOT NULL AND NOT flags & 64)) AS live
      FROM message WHERE account_id = ?1 AND key >= ?2 ORDER BY key LIMIT ?3);

-- name: live_media
-- The oldest live medium of an account, how many there are, and how many below a key.
SELECT min(record), count(*), count(*) FILTER (WHERE record < ?3)
FROM (SELECT record FROM media WHERE account_id = ?1 AND withheld = 0 LIMIT ?2);
