-- name: put_optout
-- Somebody wants no more messages from a sender or service.
INSERT INTO optout (account_id, scope, tag, keyword, at_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, scope, tag) DO UPDATE SET keyword = excluded.keyword, at_ms = excluded.at_ms;

-- name: delete_optout
-- Somebody wants messages again.
DELETE FROM optout WHERE account_id = ? AND scope = ? AND tag = ?;

-- name: optouts
-- Everybody who wants no more messages.
SELECT account_id, scope, tag FROM optout;

-- name: put_sticky
-- The sender that a person knows of a service.
INSERT INTO sticky (account_id, service, tag, sender, used_day) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, service, tag) DO UPDATE SET
    sender = excluded.sender, used_day = excluded.used_day;

-- name: sticky
-- The sender that a person knows of a service, and when it was last used.
SELECT sender, used_day FROM sticky WHERE account_id = ? AND service = ? AND tag = ?;

-- name: delete_sticky_before
-- Senders that were not used for long.
DELETE FROM sticky WHERE used_day < ?;

-- name: delete_sticky_of_service
-- A service is gone, or begins anew.
DELETE FROM sticky WHERE account_id = ? AND service = ?;

-- name: delete_sticky
-- One person is forgotten.
DELETE FROM sticky WHERE account_id = ? AND service = ? AND tag = ?;
