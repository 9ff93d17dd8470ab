-- name: put_task
-- A task is set, or its earlier form replaced.
INSERT OR REPLACE INTO task (record, number, kind, lane, due_ms, attempt, detail, ref, held)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop_task
-- A task is done, or no longer wanted.
DELETE FROM task WHERE record = ? AND number = ?;

-- name: claim_tasks
-- Take what is due in one lane, oldest first, into this process's memory.
UPDATE task SET held = 1
WHERE (record, number) IN (
    SELECT record, number FROM task
    WHERE held = 0 AND kind = ?1 AND lane = ?2 AND due_ms <= ?3
    ORDER BY due_ms, record, number LIMIT ?4
)
RETURNING record, number, kind, lane, due_ms, attempt, detail, ref, held;

-- name: next_due
-- When the next task of one lane is due.
SELECT min(due_ms) FROM task WHERE held = 0 AND kind = ? AND lane = ?;

-- name: lanes_due
-- Every lane with something to do, for the start.
SELECT kind, lane, min(due_ms) FROM task WHERE held = 0 GROUP BY kind, lane;

-- name: release_held
-- At start: what a dead process held in memory is anyone's again, but for marked attempts.
UPDATE task SET held = 0
WHERE held = 1 AND NOT (
    kind = ?1 AND EXISTS (SELECT 1 FROM message WHERE key = record AND message.attempt > task.attempt)
);

-- name: record_by_ref
-- The message a carrier's id belongs to, while a receipt is awaited.
SELECT record FROM task WHERE ref = ?;

-- name: marked_attempts
-- At start: submissions a dead process had marked: their message counts one attempt more.
SELECT record, number, kind, task.lane, due_ms, task.attempt, detail, ref, held
FROM task JOIN message ON key = record
WHERE held = 1 AND kind = ? AND message.attempt > task.attempt;

-- name: task_of_kind
-- Is there a task of that kind for one message?
SELECT 1 FROM task WHERE record = ? AND kind = ? LIMIT 1;
