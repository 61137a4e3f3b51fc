//! Backups: the catalog at one moment, and every file that it names, in another storage.
//!
//! ```text
//!  TO/backups/STAMP.catalog.ndjson   every row, as lines of JSON       written 1st
//!  TO/released/…, TO/staging/…       files; those there already stay   written 2nd
//!  TO/backups/STAMP.files.ndjson     every file with its digest        written 3rd
//!  TO/backups/STAMP.json             digests of the two lists          written last: without it there is no backup
//! ```
//!
//! The catalog comes first: a file that a later release adds is not missed, and none that an earlier one named has
//! gone, for released files are never changed and only swept when no row names them. Backups in one place share
//! their files, so that the second costs only what is new. A restore is the same in reverse, catalog last.
//!
//! Files in staging are not like that: people discard revisions and screen them anew while a backup is made. What is gone or
//! changed when its turn comes is left out and told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use chrono::DateTime;
use portico_model::manifest::Manifest;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::catalog::{DumpedRow, Rested, RevisionRecord};
use crate::error::StoreError;
use crate::storage::{KeptFile, Storage};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// In how many parts what a backup finds is read and compared. A prime: who makes a backup once a week comes to every part.
const PARTS: i64 = 29;

/// What a backup or a restore says on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyEvent {
    /// So many bytes have to be there.
    Total(u64),
    /// So many more were copied.
    Copied(u64),
    /// So many more were there already.
    Kept(u64),
}

/// What a backup or a restore came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopySummary {
    /// The name of the backup: the moment it was begun, such as `20260102T030405000Z`.
    pub stamp: String,
    /// Rows of the catalog.
    pub rows: u64,
    /// Files in all.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that had to be copied.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files of open revisions that were gone or others when their turn came: they are not in the backup.
    pub left_out: Vec<String>,
}

/// What a restore came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// What was copied.
    pub copy: CopySummary,
    /// What waits for people since.
    pub rested: Rested,
}

/// The head of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    catalog: KeptFile,
    files: KeptFile,
    rows: u64,
    file_count: u64,
    file_bytes: u64,
}

/// Listens to a backup or a restore.
type Said<'a> = &'a mut (dyn FnMut(CopyEvent) + Send);

impl Store {
    /// Copies the catalog and every file that it names to `to`. Files that are there from an earlier backup are not
    /// copied again; each day another part of them is read, and copied anew where it is damaged. The portal may go on
    /// meanwhile: a file of an open revision that is gone or another by then is left out.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::NotFound`] when a row or a file is not what it should be: a scrub
    /// says which. [`StoreError::Unavailable`] when either storage fails; doing it again goes on.
    pub async fn backup(&self, to: &Storage, now_ms: i64, said: Said<'_>) -> Result<CopySummary, StoreError> {
        let stamp = stamp(now_ms)?;
        let scratch = tempfile::tempdir().map_err(StoreError::local_file)?;
        let (catalog, named) = (scratch.path().join("catalog"), scratch.path().join("named"));
        let (rows, named_files) = self.list_files(&catalog, &named).await?;
        let catalog = to.put_backup(&format!("{stamp}.catalog.ndjson"), &catalog).await?;
        said(CopyEvent::Total(named_files.bytes));
        let mut summary = CopySummary { rows, stamp: stamp.clone(), ..CopySummary::default() };
        let list = scratch.path().join("files");
        let mut kept = create(&list)?;
        let mut lines = Lines::open(&named)?;
        while let Some(file) = lines.next::<KeptFile>()? {
            match self.storage.copy_out(&file, to, is_days_part(&file, now_ms)).await {
                Ok(copied) => {
                    summary.list(&mut kept, &file)?;
                    summary.count(copied, file.bytes, said);
                }
                Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) if file.is_staged() => {
                    said(CopyEvent::Kept(file.bytes));
                    summary.left_out.push(file.path);
                }
                Err(error) => return Err(error),
            }
        }
        kept.flush().map_err(StoreError::local_file)?;
        let files = to.put_backup(&format!("{stamp}.files.ndjson"), &list).await?;
        let head = Head { catalog, files, rows, file_count: summary.files, file_bytes: summary.bytes };
        let local = scratch.path().join("head");
        std::fs::write(&local, serde_json::to_vec_pretty(&head).map_err(StoreError::storage)?)
            .map_err(StoreError::local_file)?;
        to.put_backup(&format!("{stamp}.json"), &local).await?;
        Ok(summary)
    }

    /// Fills this portal, whose catalog must be empty, from a backup: the newest complete one, or that of a stamp.
    /// Every file is checked against its digest on its way, and before anything is copied whatever lies already where one
    /// is to go: over a storage that has purged a version since, or is another portal's, nothing is restored. The catalog
    /// comes last, so that an interrupted restore has restored nothing, and goes on when it is begun again. What would go
    /// on by itself, sources and scheduled releases, rests from then on, with a row of the audit log by `principal`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such backup, [`StoreError::Conflict`] when the catalog is not empty,
    /// [`StoreError::Corrupt`] when the backup is damaged, [`StoreError::Unavailable`] when a storage fails.
    pub async fn restore(
        &self,
        from: &Storage,
        at: Option<&str>,
        (principal, now_ms): (&str, i64),
        said: Said<'_>,
    ) -> Result<Restored, StoreError> {
        if !self.catalog.is_empty().await? {
            return Err(StoreError::conflict("the catalog to restore into is not empty"));
        }
        let stamp = match at {
            Some(stamp) => stamp.to_owned(),
            None => newest(from).await?,
        };
        let head = head(from, &stamp).await?;
        let scratch = tempfile::tempdir().map_err(StoreError::local_file)?;
        let (catalog, list) = (scratch.path().join("catalog"), scratch.path().join("files"));
        from.get_backup(&head.catalog, &catalog).await?;
        from.get_backup(&head.files, &list).await?;
        let mut summary =
            CopySummary { stamp, files: head.file_count, bytes: head.file_bytes, ..CopySummary::default() };
        let mut lines = Lines::open(&list)?;
        while let Some(file) = lines.next::<KeptFile>()? {
            self.storage.check_place(&file).await?;
        }
        said(CopyEvent::Total(summary.bytes));
        let mut lines = Lines::open(&list)?;
        while let Some(file) = lines.next::<KeptFile>()? {
            let copied = self.storage.copy_back(&file, from).await?;
            summary.count(copied, file.bytes, said);
        }
        let mut reader = BufReader::new(std::fs::File::open(&catalog).map_err(StoreError::local_file)?);
        let (rows, rested) = self.catalog.load(&mut reader, (&summary.stamp, principal, now_ms)).await?;
        summary.rows = rows;
        self.catalog.verify_audit().await?;
        Ok(Restored { copy: summary, rested })
    }

    /// Whether files were released here of which this catalog knows nothing, for nothing was ever written to it: it is not the
    /// catalog of this storage.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database or the storage does not answer.
    pub async fn lacks_its_catalog(&self) -> Result<bool, StoreError> {
        Ok(self.catalog.is_empty().await? && self.storage.holds_releases().await?)
    }

    /// Writes the catalog to one local file and the list of what it names to another.
    async fn list_files(&self, catalog: &Path, list: &Path) -> Result<(u64, CopySummary), StoreError> {
        let (mut rows_file, mut list_file) = (create(catalog)?, create(list)?);
        let mut summary = CopySummary::default();
        let mut roots: BTreeMap<String, (String, Option<i64>)> = BTreeMap::new();
        let mut show = |row: DumpedRow<'_>| match row {
            DumpedRow::Dataset(name, root) => {
                roots.insert(name.to_owned(), (root.to_owned(), None));
                Ok(())
            }
            DumpedRow::Version(dataset, delta_version, manifest) => {
                let manifest: Manifest =
                    serde_json::from_str(manifest).map_err(|error| StoreError::corrupt("a catalog row", error))?;
                if let Some((_, newest)) = roots.get_mut(dataset) {
                    *newest = (*newest).max(Some(delta_version));
                }
                manifest.files.into_iter().try_for_each(|file| {
                    let path = format!("released/{}", file.path);
                    let kept = KeptFile { kept: path.clone(), path, sha256: file.sha256, bytes: file.bytes };
                    summary.list(&mut list_file, &kept)
                })
            }
            DumpedRow::Revision(record) => {
                let record: RevisionRecord =
                    serde_json::from_str(record).map_err(|error| StoreError::corrupt("a catalog row", error))?;
                let files = if record.is_open() { record.staged_files()? } else { Vec::new() };
                files.into_iter().try_for_each(|file| {
                    // A key in staging may hold other bytes after another screening.
                    let kept = format!("staging/{}-{}", file.path, file.sha256);
                    let path = format!("staging/{}", file.path);
                    summary.list(&mut list_file, &KeptFile { path, kept, sha256: file.sha256, bytes: file.bytes })
                })
            }
        };
        let rows = self.catalog.dump(&mut rows_file, &mut show).await?;
        for (root, newest) in roots.into_values() {
            for version in 0..=newest.unwrap_or(-1) {
                let entry = self.storage.delta_entry(&root, version).await?;
                summary.list(&mut list_file, &entry)?;
            }
        }
        rows_file.flush().and_then(|()| list_file.flush()).map_err(StoreError::local_file)?;
        Ok((rows, summary))
    }
}

impl CopySummary {
    fn list(&mut self, into: &mut dyn Write, file: &KeptFile) -> Result<(), StoreError> {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(file.bytes);
        serde_json::to_writer(&mut *into, file).map_err(StoreError::storage)?;
        into.write_all(b"\n").map_err(StoreError::local_file)
    }

    fn count(&mut self, copied: bool, bytes: u64, said: Said<'_>) {
        if copied {
            self.copied_files = self.copied_files.saturating_add(1);
            self.copied_bytes = self.copied_bytes.saturating_add(bytes);
        }
        said(if copied { CopyEvent::Copied(bytes) } else { CopyEvent::Kept(bytes) });
    }
}

/// Whether a file is of the part that is compared on this day: all are in as many days as there are parts.
fn is_days_part(file: &KeptFile, now_ms: i64) -> bool {
    let of_file = file.sha256.get(..8).and_then(|digits| i64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    of_file.rem_euclid(PARTS) == now_ms.div_euclid(DAY_MS).rem_euclid(PARTS)
}

/// The moment a backup is named after.
fn stamp(now_ms: i64) -> Result<String, StoreError> {
    let moment = DateTime::from_timestamp_millis(now_ms).ok_or_else(|| StoreError::invalid("that is no time"))?;
    Ok(moment.format("%Y%m%dT%H%M%S%3fZ").to_string())
}

/// The stamp of the newest complete backup that has files, or of the newest where none has any: a backup without files beside
/// others that have some was made while the catalog was missing.
async fn newest(from: &Storage) -> Result<String, StoreError> {
    let keys = from.list_backups().await?;
    let mut stamps: Vec<&str> = keys.iter().filter_map(|key| key.strip_suffix(".json")).collect();
    stamps.sort_unstable_by(|one, other| other.cmp(one));
    for stamp in &stamps {
        if head(from, stamp).await?.file_count > 0 {
            return Ok((*stamp).to_owned());
        }
    }
    stamps.first().map(|stamp| (*stamp).to_owned()).ok_or(StoreError::not_found("backup"))
}

/// The head of the backup of a stamp.
async fn head(from: &Storage, stamp: &str) -> Result<Head, StoreError> {
    let head = from.read_backup(&format!("{stamp}.json")).await?;
    serde_json::from_slice(&head).map_err(|error| StoreError::corrupt("a file of a backup", error))
}

fn create(path: &Path) -> Result<BufWriter<std::fs::File>, StoreError> {
    std::fs::File::create(path).map(BufWriter::new).map_err(StoreError::local_file)
}

/// A list, one line at a time.
struct Lines {
    reader: BufReader<std::fs::File>,
    line: String,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let file = std::fs::File::open(path).map_err(StoreError::local_file)?;
        Ok(Self { reader: BufReader::new(file), line: String::new() })
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<T>, StoreError> {
        self.line.clear();
        if self.reader.read_line(&mut self.line).map_err(StoreError::local_file)? == 0 {
            return Ok(None);
        }
        let read = serde_json::from_str(&self.line);
        read.map(Some).map_err(|error| StoreError::corrupt("a file of a backup", error))
    }
}
