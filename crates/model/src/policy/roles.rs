//! Principals: who asks, with which roles, for which part of the portal.

use serde::{Deserialize, Serialize};

use super::DatasetName;

/// A role of the staff: a list of duties, which [`Action::roles`](super::Action::roles) gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Collects data on behalf of a department: hands files in, and decides nothing.
    Contributor,
    /// Answers for datasets of a department: reviews them, and recommends or returns.
    Steward,
    /// The open data team: stages, releases what is approved, withdraws.
    OpenData,
    /// Approves releases.
    Cio,
    /// Runs the server: gives and revokes tokens.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Contributor, Self::Steward, Self::OpenData, Self::Cio, Self::Admin];

    /// The name in the API and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contributor => "contributor",
            Self::Steward => "steward",
            Self::OpenData => "open-data",
            Self::Cio => "cio",
            Self::Admin => "admin",
        }
    }

    /// The inverse of [`Role::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// The part of the portal that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Every dataset, and the portal as a whole.
    All,
    /// These and no others.
    Only {
        /// All datasets of these departments. Case and spaces at the ends do not matter.
        #[serde(default)]
        departments: Vec<String>,
        /// These datasets, whichever department has them.
        #[serde(default)]
        datasets: Vec<DatasetName>,
    },
}

impl Scope {
    /// Whether a dataset of a department is part of it. A dataset without a department belongs to none.
    #[must_use]
    pub fn covers(&self, dataset: &DatasetName, department: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only { departments, datasets } => {
                let department = key(department);
                let of_department = !department.is_empty() && departments.iter().any(|own| key(own) == department);
                of_department || datasets.contains(dataset)
            }
        }
    }
}

/// A department's name as it is compared.
fn key(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// Anyone.
    Anonymous,
    /// Somebody who works on the road in.
    Staff {
        /// The name in the audit log: one for each person, whatever tokens the person has.
        name: String,
        /// All roles held.
        roles: Vec<Role>,
        /// The part of the portal that they are held for.
        scope: Scope,
    },
    /// Whoever runs the program on the portal's own storage and catalog. Nothing in the program could stop such a
    /// person, who can write to both without it: all duties are theirs, and the separation of duties does not bind
    /// them. The audit log has their name at each step.
    Operator {
        /// The name in the audit log.
        name: String,
    },
    /// The clock: it releases what people have approved and scheduled, when its time has come.
    Clock,
    /// A dataset's source, which is read by itself and approved for good.
    Source {
        /// The name in the audit log: `source 3` for the third declaration. No person has a name with a space.
        name: String,
        /// The dataset.
        dataset: DatasetName,
    },
}

impl Principal {
    /// The person at the server's own command line.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self::Operator { name: name.to_owned() }
    }

    /// A declaration of a dataset's source.
    #[must_use]
    pub fn source(dataset: &DatasetName, number: u32) -> Self {
        Self::Source { name: format!("source {number}"), dataset: dataset.clone() }
    }

    /// Whether a name in the audit log is a source's.
    #[must_use]
    pub fn is_source(name: &str) -> bool {
        name.strip_prefix("source ").is_some_and(|number| number.parse::<u32>().is_ok())
    }

    /// The name in the audit log.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            // No person has a name with a space.
            Self::Clock => "the clock",
            Self::Staff { name, .. } | Self::Operator { name } | Self::Source { name, .. } => name,
        }
    }
}
