-- When the clock is to release an approved revision. A row counts while its revision is scheduled; afterwards it is what
-- was planned. Not written again but by another schedule of the same revision.

CREATE TABLE schedule (
    revision      TEXT   NOT NULL PRIMARY KEY REFERENCES revision (id),
    dataset       TEXT   NOT NULL REFERENCES dataset (name),
    release_at_ms BIGINT NOT NULL,
    next_try_ms   BIGINT,
    tries         BIGINT NOT NULL,
    record        TEXT   NOT NULL,
    seal          TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX schedule_time ON schedule (release_at_ms);
CREATE INDEX revision_state ON revision (state);
