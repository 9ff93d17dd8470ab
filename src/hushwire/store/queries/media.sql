-- name: insert_media
-- A medium of a message, in the commit that makes it one; none of a message that is not there.
INSERT INTO media (
    sid, record, account_id, position, content_type, size, name, key_ref, created_ms
) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM message WHERE key = ?2);

-- name: media_of
-- The media of messages, by a JSON array of their keys, in their order.
SELECT sid, record, account_id, position, content_type, size, name, key_ref, created_ms
FROM media WHERE record IN (SELECT value FROM json_each(?)) ORDER BY record, position;

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
