-- name: put_account
-- An account is opened, or something of it changed.
INSERT INTO account (id, sid, owner_id, friendly_name, status, key_ref, auth_token,
                     secondary_token, privacy, retention, created_ms, updated_ms, key_made_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?11)
ON CONFLICT (id) DO UPDATE SET
    friendly_name = excluded.friendly_name, status = excluded.status,
    auth_token = excluded.auth_token, secondary_token = excluded.secondary_token,
    privacy = excluded.privacy, retention = excluded.retention, updated_ms = excluded.updated_ms;

-- name: accounts
-- Every account.
SELECT id, sid, owner_id, friendly_name, status, key_ref, auth_token, secondary_token, privacy,
       retention, created_ms, updated_ms, key_made_ms
FROM account;

-- name: put_key
-- An API key is made or renamed.
INSERT INTO api_key (sid, account_id, friendly_name, kind, permissions, secret_hash, created_ms,
                     updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sid) DO UPDATE SET
    friendly_name = excluded.friendly_name, permissions = excluded.permissions,
    updated_ms = excluded.updated_ms;

-- name: keys
-- Every API key.
SELECT sid, account_id, friendly_name, kind, permissions, secret_hash, created_ms, updated_ms
FROM api_key;

-- name: delete_key
-- An API key is revoked.
DELETE FROM api_key WHERE sid = ?;

-- name: put_number
-- An account gets a number, something of it changed, or it went to another account.
INSERT INTO number (id, sid, account_id, phone, mps, settings, created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    account_id = excluded.account_id, mps = excluded.mps, settings = excluded.settings,
    updated_ms = excluded.updated_ms;

-- name: numbers
-- Every owned number.
SELECT id, sid, account_id, phone, mps, settings, created_ms, updated_ms FROM number;

-- name: delete_number
-- A number is given back.
DELETE FROM number WHERE id = ?;

-- name: insert_pepper
-- A pepper for one account, purpose and month.
INSERT INTO pepper (account_id, purpose, epoch, key_ref) VALUES (?, ?, ?, ?);

-- name: drop_pepper
-- The pepper of a month is destroyed: nothing is found by it any more.
DELETE FROM pepper WHERE account_id = ? AND purpose = ? AND epoch = ?;

-- name: peppers
-- Every pepper, and the other keys beside them.
SELECT account_id, purpose, epoch, key_ref FROM pepper;

-- name: get_meta
-- One value of the server's own.
SELECT value FROM meta WHERE name = ?;

-- name: put_meta
-- Set one value of the server's own.
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;
