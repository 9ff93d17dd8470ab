-- What a Hushwire server remembers. Bodies, numbers of people and callback URLs are sealed
-- (content, address): their keys are slots of the vault, never in this database.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE account (
    id              INTEGER PRIMARY KEY,
    sid             TEXT NOT NULL UNIQUE,
    owner_id        INTEGER NOT NULL,  -- the parent's id; a parent's own
    friendly_name   TEXT NOT NULL,
    status          TEXT NOT NULL,
    key_ref         INTEGER NOT NULL,  -- vault key that wraps all keys of this account
    auth_token      BLOB NOT NULL,     -- sealed under that key
    secondary_token BLOB,              -- likewise
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL
);

CREATE TABLE api_key (
    sid           TEXT PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES account (id),
    friendly_name TEXT,
    kind          TEXT NOT NULL,     -- standard, main, restricted
    permissions   TEXT NOT NULL,     -- of a restricted one, a line each
    secret_hash   BLOB NOT NULL,     -- SHA-256
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE number (
    id         INTEGER PRIMARY KEY,
    sid        TEXT NOT NULL UNIQUE,
    account_id INTEGER NOT NULL REFERENCES account (id),
    phone      TEXT NOT NULL UNIQUE,  -- the account's own number, not a person's
    mps        REAL,                  -- segments a second; NULL is unpaced
    settings   BLOB NOT NULL,         -- sealed: its name, and URLs that may hold credentials
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
);

-- Peppers of the keyed phone index, one an account, purpose and month: destroying the
-- pepper destroys every index value made with it.
CREATE TABLE pepper (
    account_id INTEGER NOT NULL,
    purpose    TEXT NOT NULL,
    epoch      INTEGER NOT NULL,  -- yyyymm
    key_ref    INTEGER NOT NULL,
    PRIMARY KEY (account_id, purpose, epoch)
) WITHOUT ROWID;

CREATE TABLE message (
    key           INTEGER PRIMARY KEY,  -- Unix ms << 16 | sequence: the first half of the SID
    tail          BLOB NOT NULL,        -- the rest of the SID: node, random
    prefix        TEXT NOT NULL,        -- SM or MM
    account_id    INTEGER NOT NULL,
    direction     TEXT NOT NULL,
    status        TEXT NOT NULL,
    segments      INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    sent_ms       INTEGER,
    expires_ms    INTEGER NOT NULL,
    error_code    INTEGER,
    attempt       INTEGER NOT NULL,
    flags         INTEGER NOT NULL,  -- bits: see store/rows.py
    content       BLOB,              -- sealed: callback URL and body; NULL once forgotten
    content_key   INTEGER,           -- vault key reference: slot << 32 | generation
    address       BLOB,              -- sealed: from and to
    address_key   INTEGER,
    from_shown    TEXT,              -- what remains visible of a forgotten address
    to_shown      TEXT,
    day           INTEGER NOT NULL,  -- UTC day of birth, leads the phone indexes
    from_tag      INTEGER,           -- keyed hash, 8 bytes; NULL once forgotten
    to_tag        INTEGER,
    lane          INTEGER NOT NULL,
    callback_lane INTEGER NOT NULL,
    history       TEXT NOT NULL      -- a line a change: fact, Unix ms, error code
);

CREATE INDEX message_account ON message (account_id);
CREATE INDEX message_from ON message (day, from_tag);
CREATE INDEX message_to ON message (day, to_tag);

-- Everything that is due: docs/adr/0002-task-tables.md says why this is one table.
CREATE TABLE task (
    record  INTEGER NOT NULL,  -- the message's key
    number  INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    lane    INTEGER NOT NULL,
    due_ms  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    detail  TEXT,
    ref     TEXT,              -- the carrier's id, while a receipt is awaited
    held    INTEGER NOT NULL,  -- 1: in the memory of the process that owns the lane
    PRIMARY KEY (record, number)
) WITHOUT ROWID;

CREATE INDEX task_due ON task (kind, lane, due_ms) WHERE held = 0;
CREATE INDEX task_ref ON task (ref) WHERE ref IS NOT NULL;

-- What became of a create that named an idempotency key: the answer to its repetition.
CREATE TABLE idempotency (
    account_id  INTEGER NOT NULL,
    tag         BLOB NOT NULL,     -- keyed hash of the caller's key
    fingerprint BLOB NOT NULL,     -- keyed hash of the form: the same key must ask the same
    record      INTEGER NOT NULL,  -- the message's key
    expires_ms  INTEGER NOT NULL,
    PRIMARY KEY (account_id, tag)
) WITHOUT ROWID;

CREATE INDEX idempotency_expires ON idempotency (expires_ms);

-- What the customer reported of a message's outcome. It goes with the message.
CREATE TABLE feedback (
    record     INTEGER PRIMARY KEY,  -- the message's key
    outcome    TEXT NOT NULL,        -- confirmed, unconfirmed
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
);

CREATE TRIGGER feedback_goes AFTER DELETE ON message BEGIN
    DELETE FROM feedback WHERE record = old.key;
END;
