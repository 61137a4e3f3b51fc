-- Who is signed in at a browser, and the one-time links that sign somebody in. Only digests of what people hold are here.
-- Neither is part of a backup: a restored portal has nobody signed in.

CREATE TABLE session (
    id       TEXT   NOT NULL PRIMARY KEY,
    sha256   TEXT   NOT NULL UNIQUE,
    name     TEXT   NOT NULL,
    record   TEXT   NOT NULL,
    used_ms  BIGINT NOT NULL,
    ended_ms BIGINT,
    seal     TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX session_name ON session (name);

CREATE TABLE link (
    id         TEXT   NOT NULL PRIMARY KEY,
    sha256     TEXT   NOT NULL UNIQUE,
    record     TEXT   NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms    BIGINT,
    seal       TEXT   NOT NULL DEFAULT ''
);
