//! Rule sets: what screening looks for, by which clause of law, and what is to happen then.
//!
//! A rule set is a TOML file. The built-in one is North Carolina's; another state brings its own. Each `[[rule]]` looks at
//! one thing: what a named detector finds in the values (`detector`), what a regular expression finds (`pattern`, with
//! `near` and `checksum`), or what the column's name says (`columns`, `parts` or `named`, with `fits`). Each `[[category]]` is a kind
//! of restricted data that a data dictionary may give to a column.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use portico_model::finding::Severity;
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::headers::Shape;
use super::words::Words;
pub use pattern::Checksum;
use pattern::Pattern;

pub(super) mod pattern;
mod validate;

/// Bytes of a rule file.
pub const RULES_BYTES_MAX: usize = 1024 * 1024;
/// Rules of a set.
pub const RULES_MAX: usize = 500;
/// Rules with a pattern: each is matched with every text.
pub const PATTERNS_MAX: usize = 50;
/// Categories of a set.
pub const CATEGORIES_MAX: usize = 100;
/// Words in one list.
pub const WORDS_MAX: usize = 500;
/// Bytes of a word, a title, a clause or a pattern.
pub const RULE_TEXT_BYTES_MAX: usize = 1000;
/// Different values that a rule may ask for: they are kept, as hashes.
pub const DISTINCT_MAX: u64 = 1000;

/// The rules and categories of one jurisdiction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Plain", from = "Plain")]
pub struct RuleSet {
    plain: Plain,
    /// Made once: every table is screened with the same.
    words: Arc<Words>,
}

/// What is written of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plain {
    title: String,
    rules: Vec<Rule>,
    categories: Vec<Category>,
    #[serde(default)]
    classes: ClassActions,
}

impl From<Plain> for RuleSet {
    fn from(plain: Plain) -> Self {
        Self { words: Arc::new(Words::new(&plain.rules)), plain }
    }
}

impl From<RuleSet> for Plain {
    fn from(set: RuleSet) -> Self {
        set.plain
    }
}

impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.plain == other.plain
    }
}

#[allow(clippy::expect_used, reason = "the text is part of the program, and a test reads it")]
static NORTH_CAROLINA: LazyLock<RuleSet> = LazyLock::new(|| {
    RuleSet::from_toml(include_str!("ruleset/north_carolina.toml")).expect("the built-in rules are well-formed")
});

/// What a finding of a rule means for the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing is looked for.
    Off,
    /// The steward shall look.
    Warn,
    /// The release stops.
    Block,
}

impl Action {
    /// What is left of it where the evidence is weak.
    pub(super) fn weaker(self) -> Self {
        match self {
            Self::Block => Self::Warn,
            Self::Warn | Self::Off => Self::Off,
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The stable code that findings carry: lower-case letters, digits and underscores.
    pub id: String,
    /// What is looked for, to complete "N values hold what looks like …".
    pub title: String,
    /// The clause that makes it matter, for the steward and the council's lawyer.
    pub clause: String,
    /// What a finding means.
    pub action: Action,
    /// The action in a table where no other column names people; as `action` if absent.
    #[serde(default)]
    pub alone: Option<Action>,
    /// The matcher for values.
    #[serde(default)]
    pub detector: Option<Detector>,
    /// A regular expression for values.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// Words shortly before what the pattern matches; without them (and without `columns`) a match is enough.
    #[serde(default)]
    pub near: Vec<String>,
    /// What the digits of a match have to satisfy.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// Words in a row of the column's name, lower case and joined by underscores. With a detector or a pattern they tell
    /// what bare values are.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Parts of the column's name once everything but letters and digits is gone.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Whole names of columns, likewise.
    #[serde(default)]
    pub named: Vec<String>,
    /// Words of the column's name that make it something else: the rule does not look there.
    #[serde(default)]
    pub unless: Vec<String>,
    /// What values of a column with such a name must look like.
    #[serde(default)]
    pub fits: Shape,
    /// The column names people, if values fit: beside it other rules take their `action` and not `alone`.
    #[serde(default)]
    pub people: bool,
    /// Whole names of columns that count as naming people for this rule alone.
    #[serde(default)]
    pub beside: Vec<String>,
    /// Different values from which on the evidence is strong; below, a rule that blocks warns and one that warns is silent.
    #[serde(default = "one")]
    pub distinct: u64,
    /// The share of the column's values, 0 to 1, from which on the evidence is strong; below, likewise.
    #[serde(default)]
    pub share: f64,
}

fn one() -> u64 {
    1
}

/// A kind of restricted data: columns that the data dictionary classifies so are not released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The word that data dictionaries use.
    pub id: String,
    /// What it is.
    pub title: String,
    /// The clause that restricts it.
    pub clause: String,
}

/// What findings on classes and groups of rows mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassActions {
    /// Classes of fewer rows than they are to have.
    pub small: Action,
    /// Classes that grow or shrink by fewer rows than a class is to have, from the current version to the next.
    pub changed: Action,
    /// Classes with one value of the sensitive column.
    pub uniform: Action,
    /// Small groups in columns of race, ethnicity or gender.
    pub groups: Action,
}

impl Default for ClassActions {
    fn default() -> Self {
        Self { small: Action::Block, changed: Action::Warn, uniform: Action::Warn, groups: Action::Warn }
    }
}

impl Action {
    /// The severity of a finding, if there is to be one.
    #[must_use]
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Warn => Some(Severity::Warning),
            Self::Block => Some(Severity::Blocking),
        }
    }
}

/// A rule set that cannot be understood. The text may be shown to staff.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("the screening rules cannot be read: {0}")]
    Syntax(String),
    /// One rule or category contradicts itself or asks for what is not offered.
    #[error("{what} {id:?} of the screening rules: {reason}")]
    Entry {
        /// `rule`, `category` or `list`.
        what: &'static str,
        /// Its id.
        id: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The set as a whole is too large or empty.
    #[error("the screening rules: {0}")]
    Set(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    title: String,
    #[serde(default)]
    lists: BTreeMap<String, Vec<String>>,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
    #[serde(default, rename = "category")]
    categories: Vec<Category>,
    #[serde(default)]
    classes: ClassActions,
}

impl RuleSet {
    /// Reads a rule set. `@name` among words stands for the words of `[lists] name`.
    ///
    /// ```
    /// use portico_intake::screen::RuleSet;
    ///
    /// let rules = RuleSet::from_toml(r#"
    ///     title = "Elsewhere"
    ///     [[rule]]
    ///     id = "badge"
    ///     title = "badge numbers"
    ///     clause = "Elsewhere Code 12-3"
    ///     action = "block"
    ///     pattern = '\bB[0-9]{5}\b'
    ///     near = ["badge"]
    /// "#).unwrap();
    /// assert_eq!(rules.rules()[0].id, "badge");
    /// ```
    ///
    /// # Errors
    /// When the text is not TOML, has an unknown key, an entry contradicts itself, or a limit is passed.
    pub fn from_toml(text: &str) -> Result<Self, RuleSetError> {
        if text.len() > RULES_BYTES_MAX {
            return Err(RuleSetError::Set(format!("more than {RULES_BYTES_MAX} bytes")));
        }
        let text = text.trim_start_matches('\u{feff}');
        let layout: Layout = toml::from_str(text).map_err(|error| RuleSetError::Syntax(error.to_string()))?;
        validate::validated(layout)
    }

    /// The built-in rules: N.C.G.S. 14-113.20(b) by way of 132-1.10(b)(5), and what else is restricted there.
    #[must_use]
    pub fn north_carolina() -> Self {
        NORTH_CAROLINA.clone()
    }

    pub(super) fn words(&self) -> Arc<Words> {
        Arc::clone(&self.words)
    }

    /// The jurisdiction, for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.plain.title
    }

    /// Every rule, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.plain.rules
    }

    /// The rule with this code.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.plain.rules.iter().find(|rule| rule.id == id)
    }

    /// Every category, in the order of the file.
    #[must_use]
    pub fn categories(&self) -> &[Category] {
        &self.plain.categories
    }

    /// What findings on classes and groups mean.
    #[must_use]
    pub const fn classes(&self) -> ClassActions {
        self.plain.classes
    }

    /// The category with this word.
    #[must_use]
    pub fn category(&self, id: &str) -> Option<&Category> {
        self.plain.categories.iter().find(|category| category.id == id)
    }
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::north_carolina()
    }
}

impl Rule {
    /// Whether the rule looks at the column's name alone.
    #[must_use]
    pub fn is_of_columns(&self) -> bool {
        self.detector.is_none() && self.pattern.is_none()
    }
}

#[cfg(test)]
mod tests;
