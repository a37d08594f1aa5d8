-- +goose Up

-- 1 on a function that answers no request.
ALTER TABLE functions ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;

-- Payloads that are kept to call a function with.
CREATE TABLE events (
    function TEXT    NOT NULL REFERENCES functions (name) ON DELETE CASCADE,
    name     TEXT    NOT NULL,
    body     TEXT    NOT NULL,
    updated  INTEGER NOT NULL,
    PRIMARY KEY (function, name)
) STRICT;

-- +goose Down
DROP TABLE events;
ALTER TABLE functions DROP COLUMN disabled;
