-- name: add_usage
-- What a batch of messages used, or what was charged for one.
INSERT INTO usage (account_id, day, category, count, usage, price) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, day, category) DO UPDATE SET
    count = count + excluded.count, usage = usage + excluded.usage, price = price + excluded.price;

-- name: usage_days
-- What an account used, from a day to a day, both included.
SELECT day, category, count, usage, price FROM usage
WHERE account_id = ? AND day BETWEEN ? AND ?;
