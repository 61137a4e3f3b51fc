//! What the operator allows sources to be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portico_model::limits::SourceLimits;
use portico_store::{Database, Place};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::fetch::Fetcher;
use crate::notices::NoticeSettings;
use crate::source::{Origin, hex};

/// Rules of everything that is fetched for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FetchSettings {
    /// Whether `http://` is fetched from, too: then anybody on the way may change what is published.
    pub allow_http: bool,
    /// Ports that are connected to.
    pub ports: Vec<u16>,
    /// Hosts that may be inside: names, or addresses as a URL has them. All others have to be on the internet.
    pub hosts: Vec<String>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self { allow_http: false, ports: vec![443, 80], hosts: Vec::new() }
    }
}

/// Where sources may be, beside what is fetched by URL: by the names that declarations give these places.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Directories of this machine that files are dropped into.
    pub directories: BTreeMap<String, PathBuf>,
    /// Buckets, and prefixes in them.
    pub objects: BTreeMap<String, Place>,
    /// Databases.
    pub databases: BTreeMap<String, Database>,
}

impl Places {
    /// A digest of what the place of a declaration stands for now: an approval is for that, and not for whatever the operator
    /// may give the name to. Nothing for a URL, which says all itself, and for a name that there is not.
    pub(crate) fn stands_for(&self, from: &Origin) -> Option<String> {
        let words = match from {
            Origin::Https { .. } => return None,
            Origin::Directory { directory, .. } => {
                vec!["directory".to_owned(), self.directories.get(directory)?.to_string_lossy().into_owned()]
            }
            Origin::Object { place, .. } => {
                vec!["object".to_owned(), self.objects.get(place)?.stands_for().to_owned()]
            }
            Origin::Postgresql { database, .. } => {
                let Database { host, port, database, user, .. } = self.databases.get(database)?;
                vec!["postgresql".to_owned(), host.clone(), port.to_string(), database.clone(), user.clone()]
            }
        };
        Some(hex(&Sha256::digest(words.join("\0"))))
    }
}

/// What the road in needs for sources.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The one way to URLs.
    pub fetcher: Fetcher,
    /// What else the operator allows.
    pub places: Places,
    /// How people are told.
    pub notices: NoticeSettings,
    /// How much, how long and how often.
    pub limits: SourceLimits,
}

impl Default for Sources {
    fn default() -> Self {
        let limits = SourceLimits::default();
        let fetcher = Fetcher::new(FetchSettings::default(), limits.clone());
        Self { fetcher, places: Places::default(), notices: NoticeSettings::default(), limits }
    }
}
