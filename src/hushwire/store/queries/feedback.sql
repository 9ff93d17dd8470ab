-- name: find_feedback
-- What was reported of a message's outcome.
SELECT outcome, created_ms, updated_ms FROM feedback WHERE record = ?;

-- name: put_feedback
-- An outcome is reported, or corrected; nothing of a message that went in the meantime.
INSERT INTO feedback (record, outcome, created_ms, updated_ms)
SELECT key, ?2, ?3, ?3 FROM message WHERE key = ?1
ON CONFLICT (record) DO UPDATE SET outcome = excluded.outcome, updated_ms = excluded.updated_ms
RETURNING outcome, created_ms, updated_ms;
