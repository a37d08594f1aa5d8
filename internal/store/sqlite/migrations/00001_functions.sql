-- +goose Up

-- What belongs to the database as a whole.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Times are microseconds since 1970, UTC.
CREATE TABLE functions (
    name     TEXT    NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    -- active is the number of the version that requests are given, last the
    -- highest one ever given out, so that no number is used twice.
    active   INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    FOREIGN KEY (name, active) REFERENCES versions (function, number) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE versions (
    id       TEXT    NOT NULL PRIMARY KEY,
    function TEXT    NOT NULL REFERENCES functions (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    number   INTEGER NOT NULL,
    -- config is JSON with the names of the environment variables, env their
    -- values, encrypted; empty when there are none.
    config   TEXT    NOT NULL,
    env      BLOB    NOT NULL,
    sha256   TEXT    NOT NULL,
    format   TEXT    NOT NULL,
    size     INTEGER NOT NULL,
    unpacked INTEGER NOT NULL,
    files    INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    note     TEXT    NOT NULL,
    UNIQUE (function, number)
) STRICT;

CREATE INDEX versions_package ON versions (sha256) WHERE sha256 <> '';

CREATE TABLE tokens (
    id        TEXT    NOT NULL PRIMARY KEY,
    name      TEXT    NOT NULL,
    role      TEXT    NOT NULL,
    functions TEXT    NOT NULL,
    hash      BLOB    NOT NULL UNIQUE,
    created   INTEGER NOT NULL,
    -- 0 for never.
    expires   INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE tokens;
DROP TABLE versions;
DROP TABLE functions;
DROP TABLE meta;
