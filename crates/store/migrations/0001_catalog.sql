-- One dialect for SQLite and PostgreSQL: integers are BIGINT, times are milliseconds since the epoch,
-- documents are JSON in TEXT, and what is sorted is hex or a number, which every collation orders alike.

CREATE TABLE dataset (
    name            TEXT   NOT NULL PRIMARY KEY,
    root            TEXT   NOT NULL UNIQUE,
    metadata        TEXT   NOT NULL,
    name_order      TEXT   NOT NULL,
    search_text     TEXT   NOT NULL,
    department      TEXT   NOT NULL,
    department_key  TEXT   NOT NULL,
    current_version BIGINT,
    created_ms      BIGINT NOT NULL,
    updated_ms      BIGINT NOT NULL
);
CREATE INDEX dataset_order ON dataset (name_order);

CREATE TABLE dataset_keyword (
    dataset TEXT NOT NULL REFERENCES dataset (name),
    keyword TEXT NOT NULL,
    PRIMARY KEY (dataset, keyword)
);
CREATE INDEX dataset_keyword_keyword ON dataset_keyword (keyword);

CREATE TABLE revision (
    id         TEXT   NOT NULL PRIMARY KEY,
    dataset    TEXT   NOT NULL REFERENCES dataset (name),
    state      TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    record     TEXT   NOT NULL
);
CREATE INDEX revision_dataset ON revision (dataset, created_ms);

CREATE TABLE version (
    dataset          TEXT   NOT NULL REFERENCES dataset (name),
    version          BIGINT NOT NULL,
    revision         TEXT   NOT NULL UNIQUE REFERENCES revision (id),
    state            TEXT   NOT NULL,
    released_ms      BIGINT NOT NULL,
    rows             BIGINT NOT NULL,
    bytes            BIGINT NOT NULL,
    delta_version    BIGINT NOT NULL,
    approved_by      TEXT   NOT NULL,
    withdrawn_reason TEXT,
    manifest         TEXT   NOT NULL,
    profile          TEXT   NOT NULL,
    findings         TEXT   NOT NULL,
    PRIMARY KEY (dataset, version)
);

CREATE TABLE lease (
    dataset    TEXT   NOT NULL PRIMARY KEY,
    holder     TEXT   NOT NULL,
    expires_ms BIGINT NOT NULL
);

-- Rows are only ever added. Each holds the hash of itself and of the row before it.
CREATE TABLE audit (
    seq       BIGINT NOT NULL PRIMARY KEY,
    at_ms     BIGINT NOT NULL,
    principal TEXT   NOT NULL,
    action    TEXT   NOT NULL,
    dataset   TEXT,
    revision  TEXT,
    version   BIGINT,
    detail    TEXT   NOT NULL,
    previous  TEXT   NOT NULL,
    hash      TEXT   NOT NULL
);
CREATE INDEX audit_dataset ON audit (dataset, seq);

-- The end of the chain. Every writing transaction updates this row first, so that writers take turns.
CREATE TABLE audit_end (
    id   BIGINT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL
);
INSERT INTO audit_end (id, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
