-- What a member of staff shows to the server. Only the digest of a token is here: nobody can make the token from it.

CREATE TABLE token (
    id           TEXT   NOT NULL PRIMARY KEY,
    sha256       TEXT   NOT NULL UNIQUE,
    record       TEXT   NOT NULL,
    revoked_ms   BIGINT,
    last_used_ms BIGINT,
    seal         TEXT   NOT NULL DEFAULT ''
);
