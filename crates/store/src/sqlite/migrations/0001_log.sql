-- The log, what rides along with it, leases and side tables.

CREATE TABLE workspace (
    ws           INTEGER PRIMARY KEY,             -- the short number every other table uses
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    head_seq     INTEGER NOT NULL DEFAULT 0,      -- 0: no entry yet
    head_id      BLOB,
    head_hash    BLOB,
    head_time    INTEGER,
    body_bytes   INTEGER NOT NULL DEFAULT 0,      -- of all bodies, uncompressed
    lease_epoch  INTEGER NOT NULL DEFAULT 0,      -- 0: never had a lease
    lease_holder TEXT,
    lease_until  INTEGER
) STRICT;

-- One integer key keeps a log's entries adjacent and appends at the end of a page, whatever their size.
CREATE TABLE entry (
    position  INTEGER PRIMARY KEY,                -- ws << 40 | seq
    id        BLOB    NOT NULL CHECK (length(id) = 16),
    time      INTEGER NOT NULL,                   -- milliseconds since 1970, UTC
    prev_hash BLOB    NOT NULL CHECK (length(prev_hash) = 32),
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    encoding  INTEGER NOT NULL CHECK (encoding IN (0, 1)),  -- 0 as is, 1 LZ4 block behind its length
    body      BLOB    NOT NULL
) STRICT;

-- For people with a SQL shell.
CREATE VIEW log AS
    SELECT w.id AS workspace, e.position & 0xFFFFFFFFFF AS seq, e.id, e.time, e.prev_hash, e.hash,
           e.encoding, e.body
    FROM entry e JOIN workspace w ON w.ws = e.position >> 40;

CREATE TABLE touch (
    ws     INTEGER NOT NULL,
    entity BLOB    NOT NULL,
    kind   TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (ws, entity, kind, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE archive (
    record   INTEGER PRIMARY KEY,
    ws       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    id       BLOB    NOT NULL CHECK (length(id) = 16),
    target   TEXT,
    number   INTEGER NOT NULL DEFAULT 0,          -- 0: none
    parent   BLOB,
    seq      INTEGER NOT NULL,
    encoding INTEGER NOT NULL CHECK (encoding IN (0, 1)),
    body     BLOB    NOT NULL,
    UNIQUE (ws, kind, id)
) STRICT;
CREATE INDEX archive_by_target ON archive (ws, kind, target, number, id) WHERE target IS NOT NULL;
CREATE INDEX archive_by_parent ON archive (ws, kind, parent, id) WHERE parent IS NOT NULL;
CREATE INDEX archive_by_seq ON archive (ws, kind, seq, id);

CREATE TABLE api_key (
    id         BLOB    PRIMARY KEY CHECK (length(id) = 16),
    ws         INTEGER NOT NULL REFERENCES workspace,
    owner      BLOB    NOT NULL,
    role       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created    INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_by_workspace ON api_key (ws);

CREATE TABLE person (
    ws    INTEGER NOT NULL REFERENCES workspace,
    id    BLOB    NOT NULL CHECK (length(id) = 16),
    name  TEXT    NOT NULL,
    email TEXT,
    PRIMARY KEY (ws, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    hash    BLOB    PRIMARY KEY CHECK (length(hash) = 32),
    key     BLOB    NOT NULL REFERENCES api_key ON DELETE CASCADE,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_key ON session (key);
CREATE INDEX session_by_expiry ON session (expires);
