-- name: put_parcel
-- Something is to be told an addressee.
INSERT INTO outbox (lane, account_id, subject, detail, due_ms, attempt) VALUES (?, ?, ?, ?, ?, 0);

-- name: outbox_lanes
-- Every lane with parcels, how many, and when the first is due.
SELECT lane, count(*), min(due_ms) FROM outbox GROUP BY lane;

-- name: outbox_due
-- What is due in a lane, oldest first.
SELECT id, account_id, subject, detail, attempt FROM outbox
WHERE lane = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?;

-- name: outbox_next
-- When the next parcel of a lane is due.
SELECT min(due_ms) FROM outbox WHERE lane = ?;

-- name: drop_parcel
-- It was answered, or given up.
DELETE FROM outbox WHERE id = ?;

-- name: put_off_parcel
-- It failed, and is due again.
UPDATE outbox SET due_ms = ?, attempt = attempt + 1 WHERE id = ?;

-- name: clear_lane
-- The addressee is gone.
DELETE FROM outbox WHERE lane = ?;
