-- What a portal keeps of itself: purges, use, annual reports and the comments on them.

-- A purge that somebody asked for; it stays as the tombstone says it.
CREATE TABLE purge (
    dataset TEXT   NOT NULL REFERENCES dataset (name),
    version BIGINT NOT NULL,
    record  TEXT   NOT NULL,
    done_ms BIGINT,
    seal    TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, version)
);

-- How often something was used in a month. Nothing of who it was.
CREATE TABLE use_count (
    month    TEXT   NOT NULL,
    dataset  TEXT   NOT NULL REFERENCES dataset (name),
    version  BIGINT NOT NULL,
    protocol TEXT   NOT NULL,
    format   TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    uses     BIGINT NOT NULL,
    seal     TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (month, dataset, version, protocol, format, name)
);

-- Batches of counts that have arrived, so that none is added twice.
CREATE TABLE use_batch (
    id    TEXT   NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL
);

CREATE TABLE report (
    year   BIGINT NOT NULL PRIMARY KEY,
    record TEXT   NOT NULL,
    seal   TEXT   NOT NULL DEFAULT ''
);

CREATE TABLE report_comment (
    id     TEXT   NOT NULL PRIMARY KEY,
    year   BIGINT NOT NULL REFERENCES report (year),
    at_ms  BIGINT NOT NULL,
    state  TEXT   NOT NULL,
    record TEXT   NOT NULL,
    seal   TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX report_comment_year ON report_comment (year, id);
