-- name: tombstones
-- What was forgotten of messages of some accounts, oldest first: after one record, up to another.
SELECT seq, at_ms, account, what, actor, subjects, detail, hash FROM audit
WHERE seq > ?2 AND seq <= ?3 AND what IN ('message.deleted', 'message.redacted')
  AND +account IN (SELECT value FROM json_each(?1))
ORDER BY seq LIMIT ?4;
