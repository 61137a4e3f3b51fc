//! Revisions: written with compare-and-set on their state, so that two people cannot decide at once.

use portico_model::name::{DatasetName, VersionNumber};
use portico_model::revision::RevisionState;
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::What;
use super::change::Change;
use super::records::{self, RevisionRecord};
use super::seals::{self, revision_columns};
use super::{Catalog, datasets};
use crate::error::StoreError;

/// Revisions that are read at a time by who looks for one: a record may have a hundred kilobytes.
const PAGE: i64 = 4;

impl Catalog {
    /// Keeps a new revision of a dataset that exists, in state `Staged`; who and when are in the record.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such dataset, [`StoreError::Conflict`] when the id is taken by
    /// another revision. The same record again is fine.
    pub async fn insert_revision(&self, revision: &RevisionRecord) -> Result<(), StoreError> {
        if revision.state != RevisionState::Staged {
            return Err(StoreError::invalid("a new revision is staged"));
        }
        let mut change = self.change().await?;
        datasets::find(&mut change, &revision.dataset).await?.ok_or(StoreError::not_found("dataset"))?;
        if let Some(found) = find(&mut change, &revision.id).await? {
            let again = found == *revision;
            return if again { Ok(()) } else { Err(StoreError::conflict("the revision's id is taken")) };
        }
        sqlx::query(
            "INSERT INTO revision (id, dataset, state, created_ms, updated_ms, record) VALUES ($1, $2, $3, $4, $4, $5)",
        )
        .bind(revision.id.as_str())
        .bind(revision.dataset.as_str())
        .bind(revision.state.as_str())
        .bind(revision.created_ms)
        .bind(records::to_json(revision)?)
        .execute(&mut *change.transaction)
        .await?;
        seals::seal_revision(&mut change.transaction, &revision.id).await?;
        let detail = json!({ "sha256": revision.staged.sha256, "bytes": revision.staged.bytes });
        change.audit(&revision.created_by, revision.created_ms, what("revision.staged", revision), detail).await?;
        change.commit().await
    }

    /// A revision by its id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn revision(&self, id: &str) -> Result<Option<RevisionRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", revision_columns!(), " FROM revision WHERE id = $1"))
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        identified(row.as_ref(), id)
    }

    /// The revision that became a version.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn revision_of(
        &self,
        dataset: &DatasetName,
        version: VersionNumber,
    ) -> Result<Option<RevisionRecord>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            revision_columns!(),
            " FROM revision WHERE id = (SELECT revision FROM version WHERE dataset = $1 AND version = $2)"
        ))
        .bind(dataset.as_str())
        .bind(i64::from(version))
        .fetch_optional(self.pool())
        .await?;
        match row.as_ref().map(from_row).transpose()? {
            Some(record) if record.dataset != *dataset || record.version != Some(version) => {
                Err(StoreError::corrupt("a catalog row", "an index leads to another row"))
            }
            found => Ok(found),
        }
    }

    /// The newest revision of a dataset that is one of those looked for. Those before it are not read.
    ///
    /// # Errors
    /// As [`Catalog::revision_of`].
    pub async fn newest_revision(
        &self,
        dataset: &DatasetName,
        is_one: impl Fn(&RevisionRecord) -> bool,
    ) -> Result<Option<RevisionRecord>, StoreError> {
        let (mut before_ms, mut before_id) = (i64::MAX, String::new());
        loop {
            let rows = sqlx::query(concat!(
                "SELECT ",
                revision_columns!(),
                " FROM revision WHERE dataset = $1 AND (created_ms < $2 OR (created_ms = $2 AND id < $3)) \
                 ORDER BY created_ms DESC, id DESC LIMIT $4"
            ))
            .bind(dataset.as_str())
            .bind(before_ms)
            .bind(before_id.as_str())
            .bind(PAGE)
            .fetch_all(self.pool())
            .await?;
            for row in &rows {
                let record = from_row(row)?;
                if is_one(&record) {
                    return Ok(Some(record));
                }
                (before_ms, before_id) = (record.created_ms, record.id);
            }
            if rows.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The first revision that a dataset had.
    ///
    /// # Errors
    /// As [`Catalog::revision_of`].
    pub async fn first_revision(&self, dataset: &DatasetName) -> Result<Option<RevisionRecord>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            revision_columns!(),
            " FROM revision WHERE dataset = $1 ORDER BY created_ms, id LIMIT 1"
        ))
        .bind(dataset.as_str())
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// The revisions of a dataset that nobody has decided yet, newest first.
    ///
    /// # Errors
    /// As [`Catalog::revision_of`].
    pub async fn undecided_revisions(&self, dataset: &DatasetName) -> Result<Vec<RevisionRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            revision_columns!(),
            " FROM revision WHERE dataset = $1 AND state NOT IN ('released', 'discarded', 'superseded') \
             ORDER BY created_ms DESC, id DESC"
        ))
        .bind(dataset.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// All revisions of a dataset, newest first: for who needs each of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn revisions(&self, dataset: &DatasetName) -> Result<Vec<RevisionRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            revision_columns!(),
            " FROM revision WHERE dataset = $1 ORDER BY created_ms DESC, id DESC"
        ))
        .bind(dataset.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// The revisions that nobody has decided yet, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn open_revisions(&self, limit: i64) -> Result<Vec<RevisionRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            revision_columns!(),
            " FROM revision WHERE state NOT IN ('released', 'discarded', 'superseded') \
             ORDER BY created_ms DESC, id DESC LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Replaces a revision's record if it still is in state `expected`. A record whose state stays the same may
    /// change until it is approved; `Released` is reached through [`Catalog::release`] only, and `Scheduled` is entered and
    /// left through [`Catalog::schedule`] and [`Catalog::unschedule`], but for what is given up.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such revision, [`StoreError::Conflict`] when its state is
    /// another, [`StoreError::Invalid`] for a transition that does not exist.
    pub async fn update_revision(
        &self,
        expected: RevisionState,
        revision: &RevisionRecord,
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        use RevisionState::{Blocked, Discarded, InReview, Released, Returned, Scheduled, Screened, Staged};
        let stays = expected == revision.state && matches!(expected, Staged | Screened | Blocked | InReview | Returned);
        let calendar = revision.state == Scheduled || (expected == Scheduled && revision.state != Discarded);
        if calendar || revision.state == Released || !(stays || expected.may_become(revision.state)) {
            let (from, to) = (expected.as_str(), revision.state.as_str());
            return Err(StoreError::invalid(format!("a revision does not go from {from} to {to}")));
        }
        let mut change = self.change().await?;
        let found = find(&mut change, &revision.id).await?.ok_or(StoreError::not_found("revision"))?;
        if found.dataset != revision.dataset || found.created_ms != revision.created_ms {
            return Err(StoreError::invalid("a revision keeps its dataset and its date"));
        }
        if found.state != expected {
            return Err(StoreError::conflict(format!("the revision is {}", found.state.as_str())));
        }
        check_same(&found, revision)?;
        write(&mut change, revision, now_ms).await?;
        let action = match revision.state {
            RevisionState::Staged => "revision.staged",
            RevisionState::Screened => "revision.screened",
            RevisionState::Blocked => "revision.blocked",
            RevisionState::InReview if revision.review.recommended_by.is_some() => "revision.recommended",
            RevisionState::InReview => "revision.submitted",
            RevisionState::Returned => "revision.returned",
            RevisionState::Approved => "revision.approved",
            RevisionState::Scheduled => "revision.scheduled",
            RevisionState::Released => "revision.released",
            RevisionState::Discarded => "revision.discarded",
            RevisionState::Superseded => "revision.superseded",
        };
        let mut detail = json!({ "digest": revision.digest, "findings": revision.findings.len() });
        if revision.state == RevisionState::Returned {
            detail["reason"] = json!(revision.review.returned_reason);
        }
        change.audit(principal, now_ms, what(action, revision), detail).await?;
        change.commit().await
    }
}

/// Refuses a step that began before the revision was said to be read otherwise, or screened anew: the state may be the
/// same again, what it is about is not.
fn check_same(found: &RevisionRecord, next: &RevisionRecord) -> Result<(), StoreError> {
    use RevisionState::{Blocked, Screened, Staged};
    let said = |record: &RevisionRecord| (record.options_json.clone(), record.metadata_json.clone());
    let read_otherwise = next.state != Staged && said(found) != said(next);
    let screened_anew = !matches!(next.state, Staged | Screened | Blocked) && found.digest != next.digest;
    if read_otherwise || screened_anew {
        return Err(StoreError::conflict("the revision was changed meanwhile"));
    }
    Ok(())
}

/// A revision as the change sees it.
pub(super) async fn find(change: &mut Change, id: &str) -> Result<Option<RevisionRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", revision_columns!(), " FROM revision WHERE id = $1"))
        .bind(id)
        .fetch_optional(&mut *change.transaction)
        .await?;
    identified(row.as_ref(), id)
}

/// The revisions of a dataset that nobody has decided yet, as the change sees them.
pub(super) async fn under_way(change: &mut Change, dataset: &DatasetName) -> Result<Vec<RevisionRecord>, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        revision_columns!(),
        " FROM revision WHERE dataset = $1 AND state NOT IN ('released', 'discarded', 'superseded') ORDER BY id"
    ))
    .bind(dataset.as_str())
    .fetch_all(&mut *change.transaction)
    .await?;
    rows.iter().map(from_row).collect()
}

/// Writes a revision that exists.
pub(super) async fn write(change: &mut Change, revision: &RevisionRecord, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE revision SET state = $1, updated_ms = $2, record = $3 WHERE id = $4")
        .bind(revision.state.as_str())
        .bind(now_ms)
        .bind(records::to_json(revision)?)
        .bind(revision.id.as_str())
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_revision(&mut change.transaction, &revision.id).await
}

/// The record of a row that was looked up by id: a damaged index may have led to another.
fn identified(row: Option<&AnyRow>, id: &str) -> Result<Option<RevisionRecord>, StoreError> {
    match row.map(from_row).transpose()? {
        Some(record) if record.id != id => Err(StoreError::corrupt("a catalog row", "an index leads to another row")),
        found => Ok(found),
    }
}

fn from_row(row: &AnyRow) -> Result<RevisionRecord, StoreError> {
    seals::check(&seals::REVISION, row)?;
    records::from_json(&row.try_get::<String, _>("record")?)
}

pub(super) fn what<'a>(action: &'static str, revision: &'a RevisionRecord) -> What<'a> {
    What { action, dataset: Some(&revision.dataset), revision: Some(&revision.id), version: None }
}

#[cfg(test)]
mod tests {
    use portico_model::dataset::DatasetMetadata;
    use portico_model::profile::TableProfile;

    use super::*;
    use crate::StagedFile;

    fn staged(id: &str, created_ms: i64, created_by: &str) -> RevisionRecord {
        RevisionRecord {
            id: id.to_owned(),
            dataset: DatasetName::parse("trees").unwrap(),
            state: RevisionState::Staged,
            staged: StagedFile { path: "p".into(), sha256: "0".repeat(64), bytes: 1 },
            file_name: "f.csv".into(),
            options_json: "{}".into(),
            metadata_json: "{}".into(),
            prepared_json: None,
            findings: Vec::new(),
            profile: Some(TableProfile::default()),
            digest: None,
            created_ms,
            created_by: created_by.to_owned(),
            approved_by: None,
            approved_digest: None,
            version: None,
            review: records::Review::default(),
        }
    }

    #[tokio::test]
    async fn who_looks_for_the_newest_or_the_undecided_reads_nothing_of_a_long_history() {
        let catalog = Catalog::open("sqlite::memory:").await.unwrap();
        let trees = DatasetName::parse("trees").unwrap();
        catalog.put_dataset(&DatasetMetadata::named(trees.clone()), "steward", 0).await.unwrap();
        // Whoever reads one of these is told that it is damaged.
        let mut change = catalog.change().await.unwrap();
        for hour in 0..3_000_i64 {
            sqlx::query(
                "INSERT INTO revision (id, dataset, state, created_ms, updated_ms, record, seal) \
                 VALUES ($1, 'trees', 'released', $2, $2, $3, 'none')",
            )
            .bind(format!("old-{hour:04}"))
            .bind(hour)
            .bind("a large profile ".repeat(1_000))
            .execute(&mut *change.transaction)
            .await
            .unwrap();
        }
        change.commit().await.unwrap();
        for (id, by) in [("new-1", "source"), ("new-2", "source"), ("new-3", "somebody")] {
            catalog.insert_revision(&staged(id, 3_000, by)).await.unwrap();
        }
        let by_source = |record: &RevisionRecord| record.created_by == "source";
        let newest = catalog.newest_revision(&trees, by_source).await.unwrap().unwrap();
        assert_eq!(newest.id, "new-2");
        let undecided = catalog.undecided_revisions(&trees).await.unwrap();
        let ids: Vec<_> = undecided.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, ["new-3", "new-2", "new-1"]);
        // And who does look through all of it, meets the damage.
        assert!(matches!(catalog.revisions(&trees).await, Err(StoreError::Corrupt { .. })));
        let none = catalog.newest_revision(&trees, |record| record.created_by == "nobody").await;
        assert!(matches!(none, Err(StoreError::Corrupt { .. })));
        assert!(matches!(catalog.first_revision(&trees).await, Err(StoreError::Corrupt { .. })));
    }

    #[tokio::test]
    async fn every_revision_is_looked_at_once_in_the_order_of_their_making() {
        let catalog = Catalog::open("sqlite::memory:").await.unwrap();
        let trees = DatasetName::parse("trees").unwrap();
        catalog.put_dataset(&DatasetMetadata::named(trees.clone()), "steward", 0).await.unwrap();
        for index in 0..11 {
            catalog.insert_revision(&staged(&format!("r-{index:02}"), index / 6, "source")).await.unwrap();
        }
        let seen = std::sync::Mutex::new(Vec::new());
        let looks = |record: &RevisionRecord| {
            seen.lock().unwrap().push(record.id.clone());
            false
        };
        assert_eq!(catalog.newest_revision(&trees, looks).await.unwrap(), None);
        let all: Vec<_> = catalog.revisions(&trees).await.unwrap().into_iter().map(|record| record.id).collect();
        assert_eq!(all.len(), 11);
        assert_eq!(seen.into_inner().unwrap(), all);
        let first = catalog.first_revision(&trees).await.unwrap().unwrap();
        assert_eq!(first.id, "r-00");
        assert_eq!(catalog.revision_of(&trees, 1).await.unwrap(), None);
    }
}
