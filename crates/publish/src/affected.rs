//! Which other versions of a dataset hold what one of them should not have: by their columns, figures and findings, and,
//! when asked, by reading their files anew with the rules of today.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use portico_intake::options::ReadOptions;
use portico_intake::screen::RuleSet;
use portico_model::finding::{Finding, Severity};
use portico_model::name::{VersionNumber, VersionRef};
use portico_model::policy::{Action, Principal, VersionState};
use portico_model::profile::ColumnProfile;
use portico_store::VersionRecord;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::reader::SOURCE;

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// The column; without one, whatever the version's findings warn of.
    pub column: Option<String>,
    /// Whether the files of the other versions are read and screened anew.
    pub screen: bool,
}

/// A version that holds it, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// Its number.
    pub version: VersionNumber,
    /// Whether it is public.
    pub public: bool,
    /// How that is known.
    pub by: Vec<AffectedBy>,
}

/// How it is known that a version holds it, too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum AffectedBy {
    /// It has the column.
    Column {
        /// Its name there.
        column: String,
    },
    /// It has a column of another name with the same figures.
    Figures {
        /// Its name there.
        column: String,
    },
    /// The same rule found something when it was screened.
    Finding {
        /// The rule.
        rule: String,
        /// The column, by its name there.
        column: Option<String>,
        /// How many values.
        count: u64,
    },
    /// A rule of today finds something in its files.
    Screened {
        /// The rule.
        rule: String,
        /// The column, by its name there.
        column: Option<String>,
        /// How many values.
        count: u64,
    },
}

impl Publisher {
    /// The other versions that hold what a version should not have, newest first, public or not; purged ones hold nothing.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`], [`PublishError::Denied`]; [`PublishError::UnknownColumn`] for a column that the
    /// version has not; what a reader refuses.
    pub async fn affected(
        &self,
        principal: &Principal,
        version: &VersionRef,
        suspicion: &Suspicion,
        now_ms: i64,
    ) -> Result<Vec<Affected>, PublishError> {
        let dataset = self.dataset(principal, &version.dataset, now_ms).await?;
        self.permit_dataset(principal, Action::See, &dataset.metadata, now_ms)?;
        let catalog = &self.store.catalog;
        let of = catalog.version(&version.dataset, version.version).await?;
        let of = of.ok_or_else(|| portico_store::StoreError::NotFound { what: "version" })?;
        let sought = Sought::of(&of, suspicion, self.jail.rules())?;
        let mut affected = Vec::new();
        for summary in catalog.versions(&version.dataset).await? {
            if summary.version == version.version || summary.state == VersionState::Purged {
                continue;
            }
            let Some(other) = catalog.version(&version.dataset, summary.version).await? else { continue };
            let mut by = sought.seen_in(&other);
            if suspicion.screen {
                by.extend(self.screened_anew(&other, &sought).await?);
            }
            if !by.is_empty() {
                let public = other.state == VersionState::Released;
                affected.push(Affected { version: summary.version, public, by: by.into_iter().collect() });
            }
        }
        Ok(affected)
    }

    /// What the rules of today find in a version's files, each read in a process of its own.
    async fn screened_anew(
        &self,
        record: &VersionRecord,
        sought: &Sought,
    ) -> Result<BTreeSet<AffectedBy>, PublishError> {
        let mut found = BTreeSet::new();
        for file in &record.manifest.files {
            let scratch = self.scratch("affected-")?;
            let mut local = tokio::fs::File::create(scratch.path().join(SOURCE)).await?;
            let mut chunks = self.store.storage.read_released(file, None).await?;
            while let Some(chunk) = chunks.next().await {
                local.write_all(&chunk?).await?;
            }
            local.flush().await?;
            drop(local);
            let asked = ReadOptions::named("version.parquet").into();
            let screened = self.jail.read(asked, &self.limits, scratch.path(), &mut |_| {}).await?;
            for finding in screened.findings.iter().filter(|finding| sought.wants(finding)) {
                let Finding { rule, column, count, .. } = finding.clone();
                found.insert(AffectedBy::Screened { rule, column, count });
            }
        }
        Ok(found)
    }
}

/// What is looked for, as one version shows it.
struct Sought {
    column: Option<String>,
    figures: Option<ColumnProfile>,
    rules: BTreeSet<String>,
}

impl Sought {
    fn of(record: &VersionRecord, suspicion: &Suspicion, rules: &RuleSet) -> Result<Self, PublishError> {
        let fields = record.manifest.schema.fields();
        let column = match &suspicion.column {
            None => None,
            Some(asked) => {
                let found = fields.iter().find(|field| field.name().eq_ignore_ascii_case(asked));
                let columns = || fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
                let unknown = || PublishError::UnknownColumn { name: asked.clone(), columns: columns() };
                Some(found.ok_or_else(unknown)?.name().clone())
            }
        };
        let about = |finding: &&Finding| match &column {
            Some(column) => finding.column.as_ref() == Some(column),
            None => finding.column.is_some(),
        };
        // Findings about types and the like say nothing of what a column should not hold.
        let of_screening = |finding: &&Finding| rules.rule(&finding.rule).is_some();
        let found = record.findings.iter().filter(about).filter(of_screening);
        let rules = found.map(|finding| finding.rule.clone()).collect();
        let figures = record.profile.columns.iter().find(|figures| Some(&figures.name) == column.as_ref()).cloned();
        Ok(Self { column, figures, rules })
    }

    fn seen_in(&self, other: &VersionRecord) -> BTreeSet<AffectedBy> {
        let mut by = BTreeSet::new();
        if let Some(wanted) = &self.column {
            let fields = other.manifest.schema.fields().iter();
            for field in fields.filter(|field| field.name().eq_ignore_ascii_case(wanted)) {
                by.insert(AffectedBy::Column { column: field.name().clone() });
            }
        }
        if let Some(figures) = &self.figures {
            for column in other.profile.columns.iter().filter(|column| column.name != figures.name) {
                if same_figures(figures, column) {
                    by.insert(AffectedBy::Figures { column: column.name.clone() });
                }
            }
        }
        for finding in other.findings.iter().filter(|finding| self.rules.contains(&finding.rule)) {
            let Finding { rule, column, count, .. } = finding.clone();
            by.insert(AffectedBy::Finding { rule, column, count });
        }
        by
    }

    /// Whether a finding of today is of the kind that is looked for: with a column that no rule spoke of, any is.
    fn wants(&self, finding: &Finding) -> bool {
        let column = self.column.is_none() || self.column == finding.column;
        self.rules.contains(&finding.rule) || (column && finding.severity == Severity::Blocking)
    }
}

/// Whether two columns hold the same, as far as figures tell: few columns have the same least and greatest values, and the
/// same most frequent ones, by chance.
fn same_figures(one: &ColumnProfile, other: &ColumnProfile) -> bool {
    let told = one.distinct > 1 && one.min.is_some() && one.min != one.max;
    told && one.data_type == other.data_type
        && (&one.min, &one.max) == (&other.min, &other.max)
        && one.top_values.first() == other.top_values.first()
}
