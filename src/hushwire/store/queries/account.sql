-- name: insert_account
-- An account is opened.
INSERT INTO account (id, sid, friendly_name, status, key_ref, auth_token, created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: accounts
-- Every account.
SELECT id, sid, friendly_name, status, key_ref, auth_token, created_ms, updated_ms FROM account;

-- name: insert_number
-- An account gets a number.
INSERT INTO number (id, sid, account_id, phone, mps, created_ms) VALUES (?, ?, ?, ?, ?, ?);

-- name: numbers
-- Every owned number.
SELECT id, sid, account_id, phone, mps, created_ms FROM number;

-- name: insert_pepper
-- A pepper for one account, purpose and month.
INSERT INTO pepper (account_id, purpose, epoch, key_ref) VALUES (?, ?, ?, ?);

-- name: peppers
-- Every pepper.
SELECT account_id, purpose, epoch, key_ref FROM pepper;

-- name: get_meta
-- One value of the server's own.
SELECT value FROM meta WHERE name = ?;

-- name: put_meta
-- Set one value of the server's own.
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;
