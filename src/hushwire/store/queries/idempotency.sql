-- name: find_idempotency
-- What became of a create that named itself so, while it is remembered.
SELECT fingerprint, record FROM idempotency
WHERE account_id = ? AND tag = ? AND expires_ms > ?;

-- name: put_idempotency
-- A create named itself: its message is born in the same transaction. One that expired gives way.
INSERT INTO idempotency (account_id, tag, fingerprint, record, expires_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, tag) DO UPDATE
SET fingerprint = excluded.fingerprint, record = excluded.record, expires_ms = excluded.expires_ms;

-- name: drop_expired_idempotency
-- Some of what expired, a row each.
DELETE FROM idempotency WHERE (account_id, tag) IN (
    SELECT account_id, tag FROM idempotency WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2
) RETURNING 1;
