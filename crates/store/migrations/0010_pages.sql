-- What the team says on the portal's own pages: a row for each time that a page was written or given back its default text. None
-- is changed; the one with the highest number counts.

CREATE TABLE page (
    name   TEXT   NOT NULL,
    number BIGINT NOT NULL,
    record TEXT   NOT NULL,
    seal   TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (name, number)
);
