-- name: root_key_refs
-- Every vault key that is wrapped under the root key, by account.
SELECT id, key_ref FROM account UNION ALL SELECT account_id, key_ref FROM pepper;

-- name: account_key_rotated
-- An account key was exchanged for another, in its slot.
UPDATE account SET key_made_ms = ? WHERE id = ?;

-- name: drop_former_key
-- The account key before the present one is destroyed.
DELETE FROM pepper WHERE account_id = ? AND purpose = ? AND key_ref = ?;

-- name: message_keys_of
-- Vault keys of an account's messages, a part at a time.
SELECT key, content_key, address_key FROM message
WHERE account_id = ? AND key > ? ORDER BY key LIMIT ?;

-- name: media_keys_of
-- Vault keys of an account's media, a part at a time.
SELECT sid, key_ref FROM media WHERE account_id = ? AND sid > ? ORDER BY sid LIMIT ?;

-- name: message_count_of
-- How many messages an account has.
SELECT count(*) FROM message WHERE account_id = ?;
