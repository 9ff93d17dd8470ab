-- name: put_owned
-- A record of an account is made or changed.
INSERT INTO owned (sid, kind, account_id, content) VALUES (?, ?, ?, ?)
ON CONFLICT (sid) DO UPDATE SET account_id = excluded.account_id, content = excluded.content;

-- name: owned
-- Every record of every account, in the order of their making.
SELECT sid, kind, account_id, content FROM owned ORDER BY rowid;

-- name: delete_owned
-- A record of an account is deleted.
DELETE FROM owned WHERE sid = ?;
