-- name: scheduled_counts
-- At start: how many messages of each account wait for their time. Their tasks lead to them.
SELECT account_id, count(*) FROM task JOIN message ON key = record
WHERE kind = ? AND status = ? GROUP BY account_id;
