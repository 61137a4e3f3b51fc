//! Opening a released version: the name is looked up, policy decides, and only then is there something to read.
//!
//! Unknown, unreleased and hidden are one answer, with the same text.

use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::{Action, Decision, Grant, Principal, Subject, decide};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{DatasetRecord, VersionRecord};

use crate::problem::Refusal;
use crate::site::Site;

/// A version that may be read, with the proof.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) dataset: DatasetRecord,
    /// Which version is current; none when all are withdrawn.
    pub(crate) current: Option<VersionNumber>,
    pub(crate) record: VersionRecord,
    #[expect(dead_code, reason = "holding the grant is the proof that policy was asked")]
    grant: Grant,
}

/// Opens a version for reading; without a number, the current one.
///
/// # Errors
/// `NotFound` for what does not exist or is hidden, `Withdrawn` with the public reason, and the store's own.
pub(crate) async fn open(
    site: &Site,
    principal: &Principal,
    name: &str,
    version: Option<VersionNumber>,
) -> Result<Opened, Refusal> {
    let no_dataset = || Refusal::from(Problem::not_found("dataset of that name"));
    let name = DatasetName::parse(name).map_err(|_| no_dataset())?;
    let dataset = site.store.catalog.dataset(&name).await?.ok_or_else(no_dataset)?;
    let current = dataset.current;
    let number = match version.or(current) {
        Some(number) => number,
        None => {
            let gone = site.store.catalog.newest_withdrawn(&name).await?.ok_or_else(no_dataset)?;
            return Err(withdrawn(gone.withdrawn_reason.as_deref()).into());
        }
    };
    // A dataset without a release is not told from none, whichever version is asked for.
    let no_version = || if version.is_some() && current.is_some() { no_such_version() } else { no_dataset() };
    let record = site.store.catalog.version(&name, number).await?.ok_or_else(no_version)?;
    let subject = Subject::version(name, Some((record.version.version, record.state)));
    match decide(principal, Action::Read, &subject, site.now_ms()) {
        Decision::Granted(grant) => Ok(Opened { dataset, current, record, grant }),
        Decision::Withdrawn => Err(withdrawn(record.withdrawn_reason.as_deref()).into()),
        Decision::Denied(_) | Decision::Hidden => Err(no_version()),
    }
}

fn no_such_version() -> Refusal {
    Problem::not_found("version of that number").into()
}

fn withdrawn(reason: Option<&str>) -> Problem {
    let reason = reason.filter(|reason| !reason.trim().is_empty()).unwrap_or("No reason was given.");
    Problem::new(ProblemKind::Withdrawn, format!("The version was released and has been withdrawn since: {reason}"))
}
