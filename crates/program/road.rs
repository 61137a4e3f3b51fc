//! The road in as the command line goes it: on the portal's own storage and catalog, or by a server. What is printed is
//! the same.

use anyhow::Context as _;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{DatasetMetadata, MetadataPatch};
use portico_model::finding::Finding;
use portico_model::name::DatasetName;
use portico_publish::{Amendment, Publisher, Revision};
use portico_store::Store;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::args::{Metadata, Portal, Reach, Reading, Stage};
use crate::config::Config;
use crate::parts::{self, Scratch};
use crate::publish;
use crate::remote::Remote;

/// Who does the steps.
pub(crate) enum Road {
    /// This process.
    Here(Box<Open>),
    /// A server.
    There(Remote),
}

/// A portal's parts, open.
pub(crate) struct Open {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
    scratch: Scratch,
}

/// A revision as far as it is printed; it is read from the staff API's documents, too.
#[derive(Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) dataset: String,
    pub(crate) state: String,
    pub(crate) version: Option<u32>,
    pub(crate) digest: Option<String>,
    #[serde(default)]
    pub(crate) findings: Vec<Finding>,
    pub(crate) staged_by: String,
    pub(crate) recommended_by: Option<String>,
    pub(crate) returned_by: Option<String>,
    pub(crate) returned_reason: Option<String>,
    pub(crate) approved_by: Option<String>,
}

impl From<Revision> for Seen {
    fn from(revision: Revision) -> Self {
        Self {
            id: revision.id,
            dataset: revision.dataset.to_string(),
            state: revision.state.as_str().to_owned(),
            version: revision.version.map(|version| version.version),
            digest: revision.digest,
            findings: revision.findings,
            staged_by: revision.created_by,
            recommended_by: revision.review.recommended_by,
            returned_by: revision.review.returned_by,
            returned_reason: revision.review.returned_reason,
            approved_by: revision.approved_by,
        }
    }
}

/// A step that says nothing but which revision.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Screen,
    Submit,
    Release,
    Discard,
}

impl Road {
    /// The road that the command line names, over a portal that is there.
    pub(crate) async fn open(reach: &Reach) -> anyhow::Result<Self> {
        match Remote::of(reach)? {
            Some(remote) => Ok(Self::There(remote)),
            None => Ok(Self::Here(Box::new(Open::new(&reach.portal, false).await?))),
        }
    }

    /// The same, making the portal if there is none.
    pub(crate) async fn open_or_make(reach: &Reach) -> anyhow::Result<Self> {
        match Remote::of(reach)? {
            Some(remote) => Ok(Self::There(remote)),
            None => Ok(Self::Here(Box::new(Open::new(&reach.portal, true).await?))),
        }
    }

    pub(crate) async fn list(&self, dataset: &str) -> anyhow::Result<Vec<Seen>> {
        #[derive(Deserialize)]
        struct List {
            revisions: Vec<Seen>,
        }

        match self {
            Self::Here(open) => {
                let name = DatasetName::parse(dataset)?;
                let found = open.publisher.revisions(&parts::operator(), &name, parts::now_ms()).await?;
                Ok(found.into_iter().map(Seen::from).collect())
            }
            Self::There(remote) => Ok(remote.get::<List>(&["datasets", dataset, "revisions"]).await?.revisions),
        }
    }

    pub(crate) async fn show(&self, id: &str) -> anyhow::Result<Seen> {
        match self {
            Self::Here(open) => Ok(open.publisher.revision(&parts::operator(), id, parts::now_ms()).await?.into()),
            Self::There(remote) => remote.get(&["revisions", id]).await,
        }
    }

    pub(crate) async fn stage(&self, stage: &Stage) -> anyhow::Result<Seen> {
        let propose = &stage.propose;
        match self {
            Self::Here(open) => {
                let fetcher = parts::fetcher(&open.config);
                let file = publish::fetch(&propose.source, &open.scratch, &fetcher).await?;
                let request = publish::request(propose, (&open.store, &open.config.publishing.defaults), file).await?;
                Ok(open.publisher.stage(&parts::operator(), request, parts::now_ms()).await?.into())
            }
            Self::There(remote) => {
                let said = publish::said(&propose.metadata)?;
                let options = publish::reading(&propose.reading)?;
                let config = Config::default();
                let scratch = Scratch::open(&config)?;
                let file = publish::fetch(&propose.source, &scratch, &parts::fetcher(&config)).await?;
                let name = propose.source.rsplit('/').next().unwrap_or_default();
                let mut query = vec![("file_name", name)];
                let texts = [
                    ("title", &said.title),
                    ("description", &said.description),
                    ("department", &said.department),
                    ("steward_name", &said.steward_name),
                    ("steward_email", &said.steward_email),
                    ("license", &said.license),
                ];
                query.extend(texts.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?))));
                let staged: Seen = remote.upload(&["datasets", &propose.dataset, "revisions"], &query, &file).await?;
                // What does not fit into an address is said afterwards.
                let told = MetadataPatch {
                    title: None,
                    description: None,
                    department: None,
                    steward_name: None,
                    steward_email: None,
                    license: None,
                    ..said
                };
                if options == ReadOptions::default() && told.is_empty() {
                    return Ok(staged);
                }
                self.amend(&staged.id, &propose.metadata, &propose.reading).await
            }
        }
    }

    /// What is not said stays as it is.
    pub(crate) async fn amend(&self, id: &str, said: &Metadata, reading: &Reading) -> anyhow::Result<Seen> {
        #[derive(Deserialize)]
        struct Current {
            metadata: DatasetMetadata,
            options: ReadOptions,
        }

        let said = publish::said(said)?;
        let mut current = match self {
            Self::Here(open) => {
                let found = open.publisher.revision(&parts::operator(), id, parts::now_ms()).await?;
                Current { metadata: found.metadata, options: found.options }
            }
            Self::There(remote) => remote.get(&["revisions", id]).await?,
        };
        said.apply(&mut current.metadata);
        let options = publish::amended(current.options, reading)?;
        match self {
            Self::Here(open) => {
                let amendment = Amendment { metadata: Some(current.metadata), options: Some(options) };
                Ok(open.publisher.amend(&parts::operator(), id, amendment, parts::now_ms()).await?.into())
            }
            Self::There(remote) => {
                let said = json!({ "metadata": current.metadata, "options": options });
                remote.say(Method::PUT, &["revisions", id, "proposal"], &said).await
            }
        }
    }

    pub(crate) async fn step(&self, step: Step, id: &str) -> anyhow::Result<Seen> {
        let (operator, now_ms) = (parts::operator(), parts::now_ms());
        match self {
            Self::Here(open) => Ok(match step {
                Step::Screen => open.publisher.screen(&operator, id, now_ms, |_| {}).await?,
                Step::Submit => open.publisher.submit(&operator, id, now_ms).await?,
                Step::Discard => open.publisher.discard(&operator, id, now_ms).await?,
                Step::Release => {
                    open.store.storage.self_test().await.context("a release would not be safe on this storage")?;
                    open.publisher.release(&operator, id, now_ms).await?;
                    open.publisher.revision(&operator, id, now_ms).await?
                }
            }
            .into()),
            Self::There(remote) => {
                let step = match step {
                    Step::Screen => "screen",
                    Step::Submit => "submit",
                    Step::Release => "release",
                    Step::Discard => "discard",
                };
                remote.say(Method::POST, &["revisions", id, step], &json!({})).await
            }
        }
    }

    pub(crate) async fn recommend(&self, id: &str, digest: &str, remark: &str) -> anyhow::Result<Seen> {
        match self {
            Self::Here(open) => {
                let said = (digest, remark);
                Ok(open.publisher.recommend(&parts::operator(), id, said, parts::now_ms()).await?.into())
            }
            Self::There(remote) => {
                let said = json!({ "recommend": { "digest": digest, "remark": remark } });
                remote.say(Method::POST, &["revisions", id, "review"], &said).await
            }
        }
    }

    pub(crate) async fn give_back(&self, id: &str, reason: &str) -> anyhow::Result<Seen> {
        match self {
            Self::Here(open) => {
                Ok(open.publisher.give_back(&parts::operator(), id, reason, parts::now_ms()).await?.into())
            }
            Self::There(remote) => {
                let said = json!({ "return": { "reason": reason } });
                remote.say(Method::POST, &["revisions", id, "review"], &said).await
            }
        }
    }

    pub(crate) async fn approve(&self, id: &str, digest: &str) -> anyhow::Result<Seen> {
        match self {
            Self::Here(open) => {
                Ok(open.publisher.approve(&parts::operator(), id, digest, parts::now_ms()).await?.into())
            }
            Self::There(remote) => {
                remote.say(Method::POST, &["revisions", id, "approve"], &json!({ "digest": digest })).await
            }
        }
    }
}

impl Open {
    async fn new(portal: &Portal, make: bool) -> anyhow::Result<Self> {
        let config = Config::load(portal.config.as_deref(), portal.data.as_deref())?;
        let store = if make { parts::open_store(&config).await? } else { parts::open_existing_store(&config).await? };
        let scratch = Scratch::open(&config)?;
        let publisher = parts::open_publisher(&config, &store, &scratch)?;
        Ok(Self { config, store, publisher, scratch })
    }
}
