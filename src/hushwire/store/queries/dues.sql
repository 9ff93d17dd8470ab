-- name: task_due
-- When one task of a message is due.
SELECT due_ms FROM task WHERE record = ? AND number = ?;
