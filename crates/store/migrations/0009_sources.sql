-- Where a dataset's data come from, as it was declared: a row for each declaration, which only an approval changes.

CREATE TABLE source (
    dataset TEXT   NOT NULL REFERENCES dataset (name),
    number  BIGINT NOT NULL,
    record  TEXT   NOT NULL,
    seal    TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, number)
);

-- When a source is read next, and what is known of it since it was read last. Whoever reads it is its holder.
CREATE TABLE refresh (
    dataset    TEXT   NOT NULL PRIMARY KEY REFERENCES dataset (name),
    next_ms    BIGINT,
    record     TEXT   NOT NULL,
    seal       TEXT   NOT NULL DEFAULT '',
    holder     TEXT   NOT NULL DEFAULT '',
    expires_ms BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX refresh_next ON refresh (next_ms);

CREATE TABLE refresh_run (
    id         TEXT   NOT NULL PRIMARY KEY,
    dataset    TEXT   NOT NULL REFERENCES dataset (name),
    started_ms BIGINT NOT NULL,
    record     TEXT   NOT NULL,
    seal       TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX refresh_run_dataset ON refresh_run (dataset, started_ms);

-- What people have to be told: written with what it tells of, and gone once it is sent.
CREATE TABLE notice (
    id     TEXT   NOT NULL PRIMARY KEY,
    due_ms BIGINT NOT NULL,
    record TEXT   NOT NULL,
    seal   TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX notice_due ON notice (due_ms);
