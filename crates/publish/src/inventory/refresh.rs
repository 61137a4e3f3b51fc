//! The inventory as a dataset of its own. The first release goes the whole road, by people; whoever approves it has
//! approved what the portal makes of the same columns from then on. Withdrawing all of it ends that.

use portico_model::dataset::MetadataPatch;
use portico_model::finding::Finding;
use portico_model::name::VersionRef;
use portico_model::policy::{Principal, VersionState};
use portico_model::revision::RevisionState;
use portico_store::RevisionRecord;
use sha2::{Digest as _, Sha256};

use super::public;
use crate::error::PublishError;
use crate::publisher::{Publisher, StageRequest, json};
use crate::revision::Revision;

/// Who does what no person does.
const PORTAL: &str = "portico";

/// What a refresh of the published inventory came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Republished {
    /// Nobody has published the inventory yet.
    NotBegun,
    /// It says what is public already.
    Same,
    /// A revision waits for people: it is the first, or findings block it.
    Waits(String),
    /// There is a new version.
    Released(VersionRef),
}

impl Publisher {
    /// What the inventory would be as a file of the road in, for [`Publisher::stage`]; in `scratch`, which the caller keeps
    /// until then.
    ///
    /// # Errors
    /// Those of the catalog and of the disk.
    pub async fn inventory_file(
        &self,
        said: &MetadataPatch,
        scratch: &std::path::Path,
    ) -> Result<StageRequest, PublishError> {
        let file = scratch.join("inventory.csv");
        tokio::fs::write(&file, self.public_inventory().await?).await?;
        Ok(StageRequest { metadata: public::metadata(said)?, file, options: public::options()? })
    }

    /// Stages the inventory as a dataset, as anybody stages a file.
    ///
    /// # Errors
    /// Those of [`Publisher::stage`].
    pub async fn stage_inventory(
        &self,
        principal: &Principal,
        said: &MetadataPatch,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let scratch = self.scratch("inventory-")?;
        let request = self.inventory_file(said, scratch.path()).await?;
        self.stage(principal, request, now_ms).await
    }

    /// Brings the published inventory up to date. It may be done at any time and begins where it was interrupted; where
    /// nothing has changed it changes nothing.
    ///
    /// # Errors
    /// Those of the steps of the road in.
    pub async fn refresh_inventory(&self, now_ms: i64) -> Result<Republished, PublishError> {
        let name = public::name()?;
        let Some(dataset) = self.store.catalog.dataset(&name).await? else { return Ok(Republished::NotBegun) };
        let bytes = self.public_inventory().await?;
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = match dataset.current {
            Some(current) => self.store.catalog.revision_of(&name, current).await?,
            None => None,
        };
        if shown.is_some_and(|revision| revision.staged.sha256 == sha256) {
            return Ok(Republished::Same);
        }
        let revisions = self.store.catalog.undecided_revisions(&name).await?;
        let Some(approved_by) = self.standing_approval(&dataset.metadata.name).await? else {
            // People are at it, or have given it up: there is nothing to do for a portal.
            let open = revisions.iter().find(|revision| revision.is_open());
            return Ok(open.map_or(Republished::NotBegun, |revision| Republished::Waits(revision.id.clone())));
        };
        let portal = Principal::operator(PORTAL);
        for stale in revisions.iter().filter(|revision| is_own(revision) && revision.staged.sha256 != sha256) {
            self.discard(&portal, &stale.id, now_ms).await?;
        }
        let own = revisions.into_iter().find(|revision| is_own(revision) && revision.staged.sha256 == sha256);
        let as_made = json(&public::options()?)?;
        if let Some(other) = own.as_ref().filter(|own| own.options_json != as_made) {
            // Somebody has said otherwise how it is read: that is nothing that was approved.
            return Ok(Republished::Waits(other.id.clone()));
        }
        let revision = match own {
            Some(record) => Revision::of(record)?,
            None => {
                let scratch = self.scratch("inventory-")?;
                let file = scratch.path().join("inventory.csv");
                tokio::fs::write(&file, &bytes).await?;
                let request = StageRequest { metadata: dataset.metadata, file, options: public::options()? };
                self.stage(&portal, request, now_ms).await?
            }
        };
        self.release_standing(&portal, revision, &approved_by, now_ms).await
    }

    /// Goes on with the portal's own revision, in the name of whoever approved the first release.
    async fn release_standing(
        &self,
        portal: &Principal,
        revision: Revision,
        approved_by: &str,
        now_ms: i64,
    ) -> Result<Republished, PublishError> {
        let mut revision = revision;
        if revision.state == RevisionState::Staged {
            revision = self.screen(portal, &revision.id, now_ms, |_| {}).await?;
        }
        if revision.findings.iter().any(Finding::blocks) {
            return Ok(Republished::Waits(revision.id));
        }
        match revision.state {
            RevisionState::Screened => {
                let standing = Principal::operator(&format!("{PORTAL} for {approved_by}"));
                let digest = revision.digest.clone().unwrap_or_default();
                self.approve(&standing, &revision.id, &digest, now_ms).await?;
            }
            RevisionState::Approved => {}
            // People have taken it up.
            _ => return Ok(Republished::Waits(revision.id)),
        }
        Ok(Republished::Released(self.release(portal, &revision.id, now_ms).await?))
    }

    /// Who approved the first release that still stands, as long as one is public.
    async fn standing_approval(&self, name: &portico_model::name::DatasetName) -> Result<Option<String>, PublishError> {
        let versions = self.store.catalog.versions(name).await?;
        if versions.iter().all(|version| version.state == VersionState::Withdrawn) {
            return Ok(None);
        }
        let Some(first) = versions.last() else { return Ok(None) };
        let first = self.store.catalog.version(name, first.version).await?;
        Ok(first.map(|first| first.approved_by))
    }
}

/// A revision that the portal itself has begun and not ended.
fn is_own(revision: &RevisionRecord) -> bool {
    revision.created_by == PORTAL && revision.is_open()
}
