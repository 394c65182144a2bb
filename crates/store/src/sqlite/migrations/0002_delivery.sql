-- What is to be told to whom: how far the log was looked through, what is still to be delivered, what came of it.

CREATE TABLE notify_cursor (
    ws  INTEGER PRIMARY KEY REFERENCES workspace,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
    ws       INTEGER NOT NULL REFERENCES workspace,
    notifier BLOB    NOT NULL CHECK (length(notifier) = 16),
    seq      INTEGER NOT NULL,
    subject  BLOB    NOT NULL CHECK (length(subject) = 16),
    attempts INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (ws, notifier, seq, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_by_due ON delivery (ws, notifier, due, seq);

CREATE TABLE delivery_record (
    ws               INTEGER NOT NULL REFERENCES workspace,
    notifier         BLOB    NOT NULL CHECK (length(notifier) = 16),
    delivered        INTEGER NOT NULL,
    given_up         INTEGER NOT NULL,
    delivered_at     INTEGER,
    error_at         INTEGER,
    error_code       TEXT,
    error_message    TEXT,
    error_seq        INTEGER,
    given_up_at      INTEGER,
    given_up_code    TEXT,
    given_up_message TEXT,
    given_up_seq     INTEGER,
    PRIMARY KEY (ws, notifier)
) STRICT, WITHOUT ROWID;
