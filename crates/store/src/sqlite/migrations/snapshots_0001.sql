-- Snapshots, in a database of their own: writing hundreds of megabytes must not hold up an append, and
-- losing them costs time only.

CREATE TABLE snapshot (
    snapshot       INTEGER PRIMARY KEY,
    workspace      BLOB    NOT NULL CHECK (length(workspace) = 16),
    seq            INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    entry_hash     BLOB    NOT NULL CHECK (length(entry_hash) = 32),
    checksum       BLOB    NOT NULL CHECK (length(checksum) = 32),
    body_bytes     INTEGER NOT NULL,
    UNIQUE (workspace, seq, schema_version)
) STRICT;

CREATE TABLE chunk (
    snapshot INTEGER NOT NULL REFERENCES snapshot ON DELETE CASCADE,
    ordinal  INTEGER NOT NULL,
    encoding INTEGER NOT NULL CHECK (encoding IN (0, 1)),
    body     BLOB    NOT NULL,
    PRIMARY KEY (snapshot, ordinal)
) STRICT;
