-- name: insert_audit
-- The next record of the chain.
INSERT INTO audit (seq, at_ms, account, what, actor, subjects, detail, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: audit_head
-- The newest record.
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- name: audit_chain
-- The records that follow one, oldest first.
SELECT seq, at_ms, account, what, actor, subjects, detail, hash FROM audit
WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: audit_page
-- Records of some accounts in a span of time, newest first, below one.
SELECT seq, at_ms, account, what, actor, subjects, detail, hash FROM audit
WHERE +account IN (SELECT value FROM json_each(?1)) AND at_ms >= ?2 AND at_ms < ?3
  AND (?4 IS NULL OR what = ?4) AND (?5 IS NULL OR instr(subjects, ?5) > 0) AND seq < ?6
ORDER BY seq DESC LIMIT ?7;

-- name: audit_page_up
-- The same, oldest first, above one.
SELECT seq, at_ms, account, what, actor, subjects, detail, hash FROM audit
WHERE +account IN (SELECT value FROM json_each(?1)) AND at_ms >= ?2 AND at_ms < ?3
  AND (?4 IS NULL OR what = ?4) AND (?5 IS NULL OR instr(subjects, ?5) > 0) AND seq > ?6
ORDER BY seq LIMIT ?7;

-- name: named_by
-- The message of that key, while it still names that vault key.
SELECT tail, prefix, account_id FROM message
WHERE key = ?1 AND (content_key = ?2 OR address_key = ?2);
