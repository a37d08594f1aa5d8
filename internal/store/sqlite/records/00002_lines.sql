-- +goose Up

-- Whose lines there are, and how much: the limits are kept by it. One that was
-- deleted has a name that no function can have, until its lines are gone.
CREATE TABLE line_functions (
    id    INTEGER NOT NULL PRIMARY KEY,
    name  TEXT    NOT NULL UNIQUE,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE lines (
    -- Counts the lines of all functions, so the newest are at the end of the table.
    id       INTEGER NOT NULL PRIMARY KEY,
    function INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    instance TEXT    NOT NULL,
    request  TEXT    NOT NULL,
    -- 0 for the platform, 1 for stdout, 2 for stderr.
    stream   INTEGER NOT NULL,
    -- 0 for none, 1 for debug to 4 for error.
    level    INTEGER NOT NULL,
    text     TEXT    NOT NULL
) STRICT;

CREATE INDEX lines_function ON lines (function, id);
CREATE INDEX lines_request ON lines (request, id) WHERE request <> '';

-- +goose Down
DROP TABLE lines;
DROP TABLE line_functions;
