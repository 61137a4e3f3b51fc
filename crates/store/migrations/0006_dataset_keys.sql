-- The secret key of a dataset's pseudonyms. Whoever has it can tell whose they are, so it is nowhere else: no answer, no log
-- and no released file holds it.

CREATE TABLE dataset_key (
    dataset    TEXT   NOT NULL PRIMARY KEY REFERENCES dataset (name),
    secret     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    seal       TEXT   NOT NULL DEFAULT ''
);
