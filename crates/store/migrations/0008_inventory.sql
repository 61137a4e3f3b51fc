-- Every dataset that the government holds, published or not.
CREATE TABLE inventory (
    name   TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    seal   TEXT NOT NULL DEFAULT ''
);

-- What the public asks to have published.
CREATE TABLE data_request (
    id     TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    seal   TEXT NOT NULL DEFAULT ''
);

-- Other metadata of a dataset that is public, until somebody approves or declines them; one for each dataset.
CREATE TABLE metadata_edit (
    dataset TEXT NOT NULL PRIMARY KEY REFERENCES dataset (name),
    record  TEXT NOT NULL,
    seal    TEXT NOT NULL DEFAULT ''
);
