-- +goose Up

-- When it was last used; 0 for never.
ALTER TABLE tokens ADD COLUMN last_used INTEGER NOT NULL DEFAULT 0;

CREATE TABLE users (
    name       TEXT    NOT NULL PRIMARY KEY,
    role       TEXT    NOT NULL,
    -- A hash in the PHC string format.
    password   TEXT    NOT NULL,
    disabled   INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    -- 0 for never.
    last_login INTEGER NOT NULL
) STRICT;

-- A session belongs to a user or to a token, and ends with it.
CREATE TABLE sessions (
    hash    BLOB    NOT NULL PRIMARY KEY,
    user    TEXT    REFERENCES users (name) ON DELETE CASCADE,
    token   TEXT    REFERENCES tokens (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    CHECK ((user IS NULL) <> (token IS NULL))
) STRICT;

CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_token ON sessions (token);

CREATE TABLE documents (
    name TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    time       INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    status     INTEGER NOT NULL,
    request_id TEXT    NOT NULL,
    address    TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_time ON audit (time);

-- +goose Down
DROP TABLE audit;
DROP TABLE documents;
DROP TABLE sessions;
DROP TABLE users;
ALTER TABLE tokens DROP COLUMN last_used;
