-- name: insert_media
-- A medium of a message, in the commit that makes it one; none of a message that is not there.
INSERT INTO media (
    sid, record, account_id, position, content_type, size, name, key_ref, created_ms
) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM message WHERE key = ?2);

-- name: media_of
-- The media of messages, by a JSON array of their keys, in their order.
SELECT sid, record, account_id, position, content_type, size, name, key_ref, created_ms
FROM media WHERE record IN (SELECT value FROM json_each(?1)) AND withheld <= ?2
ORDER BY record, position;

-- name: withhold_media
-- It is to be forgotten, and a legal hold keeps its key.
UPDATE media SET withheld = 1 WHERE sid = ?;

-- name: expired_media
-- The media of an account whose messages are from a key on, below another.
SELECT sid, record, account_id, position, content_type, size, name, key_ref, created_ms
FROM media WHERE record >= ?2 AND record < ?3 AND account_id = ?1 AND withheld = 0
ORDER BY record, position LIMIT ?4;

-- name: delete_media
-- Its key is destroyed.
DELETE FROM media WHERE sid = ?;

-- name: media_after
-- All media, a part at a time, for the sweep; the last column tells of a message that is gone.
SELECT sid, record, account_id, position, content_type, size, name, key_ref, created_ms,
    NOT EXISTS (SELECT 1 FROM message WHERE key = record)
FROM media WHERE sid > ? ORDER BY sid LIMIT ?;

-- name: media_keys
-- Every vault key that media refer to, for the sweep.
SELECT key_ref FROM media;

-- name: any_media
-- Is there any medium?
SELECT EXISTS (SELECT 1 FROM media);
