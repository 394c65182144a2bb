-- Workspaces at rest: until when nothing is to be done there, so that a start need not fold their logs. As
-- expendable as a snapshot.

CREATE TABLE rest (
    workspace  BLOB    PRIMARY KEY CHECK (length(workspace) = 16),
    seq        INTEGER NOT NULL,
    entry_hash BLOB    NOT NULL CHECK (length(entry_hash) = 32),
    said_by    TEXT    NOT NULL,
    due_at     INTEGER,
    checksum   BLOB    NOT NULL CHECK (length(checksum) = 32)
) STRICT, WITHOUT ROWID;
