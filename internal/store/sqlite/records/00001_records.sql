-- +goose Up

-- The names of functions, also of deleted ones. The empty name is the whole system.
CREATE TABLE names (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE series (
    id        INTEGER NOT NULL PRIMARY KEY,
    function  INTEGER NOT NULL REFERENCES names (id) ON DELETE CASCADE,
    version   INTEGER NOT NULL,
    isolation TEXT    NOT NULL,
    UNIQUE (function, version, isolation)
) STRICT;

-- Clustered by function, resolution and time: what a query wants lies together.
-- time is minutes since 1970, UTC.
CREATE TABLE rollups (
    function   INTEGER NOT NULL,
    resolution INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    series     INTEGER NOT NULL,
    data       BLOB    NOT NULL,
    PRIMARY KEY (function, resolution, time, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE invocations (
    -- When it ended, in microseconds since 1970, made unique. So the newest are at
    -- the end of the table, and no index on time is needed.
    n           INTEGER NOT NULL PRIMARY KEY,
    id          TEXT    NOT NULL,
    function    INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    isolation   TEXT    NOT NULL,
    instance    TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    time        INTEGER NOT NULL,
    start       TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    fault       TEXT    NOT NULL,
    status      INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    error_type  TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    trace       TEXT    NOT NULL,
    queue       INTEGER NOT NULL,
    making      INTEGER NOT NULL,
    init        INTEGER NOT NULL,
    run         INTEGER NOT NULL,
    total       INTEGER NOT NULL,
    billed      INTEGER NOT NULL,
    bytes_in    INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    cpu         INTEGER NOT NULL,
    peak_memory INTEGER NOT NULL
) STRICT;

CREATE INDEX invocations_id ON invocations (id);
CREATE INDEX invocations_function ON invocations (function, n);
-- Failures are looked for among many that are none.
CREATE INDEX invocations_failed ON invocations (n) WHERE fault <> '';
CREATE INDEX invocations_function_failed ON invocations (function, n) WHERE fault <> '';

-- +goose Down
DROP TABLE invocations;
DROP TABLE rollups;
DROP TABLE series;
DROP TABLE names;
