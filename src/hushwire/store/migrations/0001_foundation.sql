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
    key_ref         INTEGER NOT NULL,  -- vault key that wraps the keys of its messages
    auth_token      BLOB NOT NULL,     -- sealed under its `secrets` key: see pepper
    secondary_token BLOB,              -- likewise
    privacy         TEXT NOT NULL,     -- JSON: what is to be forgotten, and when
    retention       TEXT NOT NULL,     -- JSON: how long the rest is kept
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL,
    key_made_ms     INTEGER NOT NULL   -- of the account key: made, or last rotated
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

-- Services, applications, templates and the like: what an account set up, sealed whole.
CREATE TABLE owned (
    sid        TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES account (id),
    content    BLOB NOT NULL
);

-- Peppers of the keyed indexes, one an account and purpose, and for people one a month:
-- destroying the pepper destroys every index value made with it. Two keys lie beside them, of
-- epoch 0: `secrets` seals what lives as long as the account; `former` is the account key that is
-- being rotated away.
CREATE TABLE pepper (
    account_id INTEGER NOT NULL,
    purpose    TEXT NOT NULL,
    epoch      INTEGER NOT NULL,  -- yyyymm; 0: not of one month
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
    content       BLOB,              -- sealed: callback URL, extras, body; NULL once forgotten
    content_key   INTEGER,           -- vault key reference: slot << 32 | generation
    address       BLOB,              -- sealed: from and to
    address_key   INTEGER,
    from_shown    TEXT,              -- what remains visible of a forgotten address
    to_shown      TEXT,
    stretch       INTEGER NOT NULL,  -- UTC day << 16 | part of it: leads the phone indexes
    from_tag      INTEGER,           -- keyed hash, 8 bytes; NULL once forgotten
    to_tag        INTEGER,
    lane          INTEGER NOT NULL,
    callback_lane INTEGER NOT NULL,
    history       TEXT NOT NULL,     -- a line a change: fact, Unix ms, error code
    price         INTEGER,           -- 1/100,000 of the currency; NULL until it is known
    rare          TEXT               -- JSON of what few messages have: see store/rows.py
);

CREATE INDEX message_account ON message (account_id);
CREATE INDEX message_from ON message (stretch, from_tag);
CREATE INDEX message_to ON message (stretch, to_tag);

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

-- Who wants no more messages: keyed hashes of 16 bytes, no numbers. They outlive the messages.
CREATE TABLE optout (
    account_id INTEGER NOT NULL,
    scope      TEXT NOT NULL,     -- SID of the number or the service that is not to write
    tag        BLOB NOT NULL,
    keyword    TEXT NOT NULL,     -- what was said; "api" when it was told us otherwise
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (account_id, scope, tag)
) WITHOUT ROWID;

-- Which sender of a service a person knows: keyed hashes, no numbers.
CREATE TABLE sticky (
    account_id INTEGER NOT NULL,
    service    TEXT NOT NULL,
    tag        BLOB NOT NULL,
    sender     TEXT NOT NULL,     -- the account's own address
    used_day   INTEGER NOT NULL,  -- UTC day of the last message
    PRIMARY KEY (account_id, service, tag)
) WITHOUT ROWID;

CREATE INDEX sticky_used ON sticky (used_day);

-- Alerts, events, deliveries: what happened, a line each, for as long as its kind is kept.
CREATE TABLE entry (
    id         INTEGER PRIMARY KEY,
    sid        TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    subject    TEXT,              -- SID of what it is about
    content    BLOB NOT NULL      -- sealed
);

CREATE INDEX entry_account ON entry (account_id, kind, at_ms);
CREATE INDEX entry_subject ON entry (subject) WHERE subject IS NOT NULL;

-- What is to be posted beside status callbacks. Nothing private: it is made when its turn comes.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    lane       TEXT NOT NULL,     -- SID of the debugger webhook or sink
    account_id INTEGER NOT NULL,
    subject    TEXT NOT NULL,     -- SID of what it tells of
    detail     TEXT NOT NULL,
    due_ms     INTEGER NOT NULL,
    attempt    INTEGER NOT NULL
);

CREATE INDEX outbox_lane ON outbox (lane, due_ms);

-- What an account used, a line a day and category.
CREATE TABLE usage (
    account_id INTEGER NOT NULL,
    day        INTEGER NOT NULL,  -- UTC
    category   TEXT NOT NULL,
    count      INTEGER NOT NULL,  -- messages
    usage      INTEGER NOT NULL,  -- segments
    price      INTEGER NOT NULL,  -- 1/100,000 of the currency
    PRIMARY KEY (account_id, day, category)
) WITHOUT ROWID;

-- Media of messages. The file itself lies in the object store, sealed under `key_ref`.
CREATE TABLE media (
    sid          TEXT PRIMARY KEY,
    record       INTEGER NOT NULL,  -- the message's key
    account_id   INTEGER NOT NULL,
    position     INTEGER NOT NULL,  -- from 0
    content_type TEXT NOT NULL,
    size         INTEGER NOT NULL,  -- bytes
    name         TEXT NOT NULL,     -- of the object: chance
    key_ref      INTEGER NOT NULL,  -- vault key reference
    created_ms   INTEGER NOT NULL,
    withheld     INTEGER NOT NULL DEFAULT 0,  -- 1: forgotten but for its key
    UNIQUE (record, position)
) WITHOUT ROWID;

-- Legal holds: nothing in their scope is destroyed while they are in force.
CREATE TABLE legal_hold (
    sid        TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account (id),
    message    TEXT,              -- SID of the one message; with both NULL: the whole account
    tag        BLOB,              -- keyed hash of the one number
    author     TEXT NOT NULL,     -- SID of the account or API key that set it
    reason     BLOB NOT NULL,     -- sealed: who set it, and why
    set_ms     INTEGER NOT NULL,
    lifted_ms  INTEGER            -- NULL while it is in force
) WITHOUT ROWID;

-- What was forgotten, revealed, or changed of keys and rules: a chain, see domain/audit.py.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,  -- from 1, without gaps
    at_ms    INTEGER NOT NULL,
    account  TEXT NOT NULL,        -- SID of whom it concerns
    what     TEXT NOT NULL,
    actor    TEXT,                 -- SID of who did it; NULL: the server itself
    subjects TEXT NOT NULL,        -- SIDs and keyed indexes, parted by blanks
    detail   TEXT NOT NULL,
    hash     BLOB NOT NULL         -- SHA-256 over the hash before and this record
);
