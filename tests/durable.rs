//! What must never be lost, and never be answered wrongly: lost bits, failing storage, dying processes, races.

mod backup;
mod calendar;
mod chaos;
mod damaged;
mod faults;
mod races;
mod refreshes;
mod rot;
mod stalled;
mod sweeps;
mod troubled;

use portico_model::dataset::{ColumnDescription, DatasetMetadata};
use portico_model::name::DatasetName;
use portico_model::policy::Principal;
use portico_model::revision::RevisionState;
use portico_publish::{PublishError, Publisher, StageRequest};
use portico_store::{ScrubEvent, Store};

use crate::world::NOW_MS;

/// How often, if somebody asks for more than there is time for every day.
#[allow(clippy::disallowed_methods, reason = "a test asks how long it may take")]
fn times(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The steps of one revision on the road in, done as far as they go; called again, it goes on from there.
struct Road<'a> {
    publisher: &'a Publisher,
    dataset: &'static str,
    file: &'a std::path::Path,
    /// Once staging was acknowledged.
    id: Option<String>,
}

impl<'a> Road<'a> {
    fn new(publisher: &'a Publisher, dataset: &'static str, file: &'a std::path::Path) -> Self {
        Self { publisher, dataset, file, id: None }
    }

    async fn stage(&mut self, now_ms: i64) -> Result<String, PublishError> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let metadata = DatasetMetadata {
            description: "Trees of the city".to_owned(),
            steward_email: "steward@city.example".to_owned(),
            license: "CC0-1.0".to_owned(),
            columns: ["tree_id", "species", "mark"].map(described).to_vec(),
            ..DatasetMetadata::named(DatasetName::parse(self.dataset).unwrap())
        };
        let options = portico_intake::options::ReadOptions::named("trees.csv");
        let request = StageRequest { metadata, file: self.file.to_owned(), options };
        let staged = self.publisher.stage(&operator(), request, now_ms).await?;
        self.id = Some(staged.id.clone());
        Ok(staged.id)
    }

    /// Answers the version that the revision became.
    async fn go(&mut self, now_ms: i64) -> Result<u32, PublishError> {
        let id = self.stage(now_ms).await?;
        let operator = operator();
        loop {
            let seen = self.publisher.revision(&operator, &id, now_ms).await?;
            match seen.state {
                RevisionState::Staged => drop(self.publisher.screen(&operator, &id, now_ms, |_| {}).await?),
                RevisionState::Screened | RevisionState::InReview => {
                    let digest = seen.digest.unwrap_or_default();
                    self.publisher.approve(&operator, &id, &digest, now_ms).await?;
                }
                RevisionState::Approved | RevisionState::Released => {
                    return Ok(self.publisher.release(&operator, &id, now_ms).await?.version);
                }
                RevisionState::Blocked
                | RevisionState::Scheduled
                | RevisionState::Returned
                | RevisionState::Discarded
                | RevisionState::Superseded => panic!("{:?}", seen.state),
            }
        }
    }
}

fn described(name: &str) -> ColumnDescription {
    let (name, description) = (name.to_owned(), format!("The {name}"));
    ColumnDescription { name, description, ..ColumnDescription::default() }
}

fn operator() -> Principal {
    Principal::operator("operator")
}

fn publisher(store: Store, scratch: &std::path::Path) -> Publisher {
    let program = env!("CARGO_BIN_EXE_portico").into();
    Publisher::new(store, portico_model::limits::Limits::default().intake, program, scratch.to_owned())
}

/// A file of so many trees, each with a number that tells the files apart.
fn trees(directory: &std::path::Path, name: &str, rows: u64, mark: u64) -> std::path::PathBuf {
    let mut text = "tree_id,species,mark\n".to_owned();
    for row in 0..rows {
        text.push_str(&format!("{row:05},{},{mark}\n", ["Oak", "Ash", "Elm"][usize::try_from(row % 3).unwrap()]));
    }
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What the scrub finds wrong.
async fn wrong(store: &Store) -> Vec<String> {
    let mut wrong = Vec::new();
    let scrubbed = store
        .scrub(&mut |event| {
            if let ScrubEvent::Wrong(found) = event {
                wrong.push(format!("{}: {}", found.about, found.how));
            }
        })
        .await;
    match scrubbed {
        Ok(scrubbed) => assert_eq!(scrubbed.wrong, u64::try_from(wrong.len()).unwrap()),
        Err(error) => wrong.push(format!("{error:?}")),
    }
    wrong
}

/// Later than any leftover is young, and than any lease lasts.
const LATER_MS: i64 = NOW_MS * 3;
