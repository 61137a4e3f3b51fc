-- A seal is the SHA-256 of what a row says: databases do not notice a bit that the disk has lost, readers of a sealed
-- row do. Rows that are here already get their seals in the same transaction.

ALTER TABLE dataset ADD COLUMN seal TEXT NOT NULL DEFAULT '';
ALTER TABLE revision ADD COLUMN seal TEXT NOT NULL DEFAULT '';
ALTER TABLE version ADD COLUMN seal TEXT NOT NULL DEFAULT '';

-- Of the manifest, the profile and the findings, which are read once and kept in memory.
ALTER TABLE version ADD COLUMN content_sha256 TEXT NOT NULL DEFAULT '';
