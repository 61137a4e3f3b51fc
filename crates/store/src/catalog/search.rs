//! Finding datasets by words, department and keyword, the same on both databases.
//!
//! Both sides of a comparison are folded here, in Rust, so that neither database's idea of upper and lower case
//! or of sorting matters.

use portico_model::dataset::DatasetMetadata;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::Catalog;
use super::datasets::from_row;
use super::records::{self, DatasetRecord};
use super::seals::dataset_columns;
use crate::error::StoreError;

/// Words of a search that count; more would not narrow it.
const WORDS: usize = 6;
/// Characters of a word that count.
const WORD_CHARS: usize = 64;
/// Values of a facet that are counted.
const FACET_VALUES: i64 = 200;

/// Which datasets to list. Empty fields do not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetFilter {
    /// Words that all must occur in name, title, description, keywords or department, in any case.
    pub text: Option<String>,
    /// The department, in any case.
    pub department: Option<String>,
    /// A keyword, in any case.
    pub keyword: Option<String>,
    /// Also those that have no version yet: for staff.
    pub include_unreleased: bool,
    /// How many to pass over.
    pub offset: u64,
    /// How many to list at most.
    pub limit: u64,
}

/// How many of the datasets found have which department and keyword, most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Departments as they are written.
    pub departments: Vec<(String, u64)>,
    /// Keywords in lower case.
    pub keywords: Vec<(String, u64)>,
}

/// The datasets of a filter; `$1` to `$9` are bound by [`Needles::bind`].
macro_rules! matching {
    () => {
        "($1 = 1 OR d.current_version IS NOT NULL) AND ($2 = '' OR d.department_key = $2) \
         AND ($3 = '' OR EXISTS (SELECT 1 FROM dataset_keyword k WHERE k.dataset = d.name AND k.keyword = $3)) \
         AND d.search_text LIKE $4 ESCAPE '\\' AND d.search_text LIKE $5 ESCAPE '\\' \
         AND d.search_text LIKE $6 ESCAPE '\\' AND d.search_text LIKE $7 ESCAPE '\\' \
         AND d.search_text LIKE $8 ESCAPE '\\' AND d.search_text LIKE $9 ESCAPE '\\'"
    };
}

impl Catalog {
    /// The datasets that a filter finds, by name, and how many there are in all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn datasets(&self, filter: &DatasetFilter) -> Result<(Vec<DatasetRecord>, u64), StoreError> {
        let needles = Needles::of(filter);
        let total = needles.bind(sqlx::query(concat!("SELECT COUNT(*) FROM dataset d WHERE ", matching!())));
        let total: i64 = total.fetch_one(self.pool()).await?.try_get(0)?;
        let page = needles.bind(sqlx::query(concat!(
            "SELECT ",
            dataset_columns!(),
            " FROM dataset d WHERE ",
            matching!(),
            " ORDER BY d.name_order LIMIT $10 OFFSET $11"
        )));
        let page = page
            .bind(i64::try_from(filter.limit).unwrap_or(i64::MAX))
            .bind(i64::try_from(filter.offset).unwrap_or(i64::MAX));
        let rows = page.fetch_all(self.pool()).await?;
        Ok((rows.iter().map(from_row).collect::<Result<_, _>>()?, records::count(total)?))
    }

    /// The facets of the datasets that a filter finds; its offset and limit do not matter.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn facets(&self, filter: &DatasetFilter) -> Result<Facets, StoreError> {
        let needles = Needles::of(filter);
        let departments = needles.bind(sqlx::query(concat!(
            "SELECT MIN(d.department), COUNT(*) FROM dataset d WHERE d.department_key <> '' AND ",
            matching!(),
            " GROUP BY d.department_key ORDER BY COUNT(*) DESC LIMIT $10"
        )));
        let keywords = needles.bind(sqlx::query(concat!(
            "SELECT w.keyword, COUNT(*) FROM dataset_keyword w JOIN dataset d ON d.name = w.dataset WHERE ",
            matching!(),
            " GROUP BY w.keyword ORDER BY COUNT(*) DESC LIMIT $10"
        )));
        Ok(Facets {
            departments: counted(&departments.bind(FACET_VALUES).fetch_all(self.pool()).await?)?,
            keywords: counted(&keywords.bind(FACET_VALUES).fetch_all(self.pool()).await?)?,
        })
    }
}

/// What a dataset is found by.
pub(super) fn text_of(metadata: &DatasetMetadata) -> String {
    let mut text = vec![
        metadata.name.to_string(),
        metadata.name.sql_name(),
        metadata.title.clone(),
        metadata.description.clone(),
        metadata.department.clone(),
    ];
    text.extend(metadata.keywords.iter().cloned());
    key(&text.join(" "))
}

/// Text as it is compared: lower case, single spaces, no control characters.
pub(super) fn key(text: &str) -> String {
    let plain = records::plain(text).to_lowercase();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A filter as parameters.
struct Needles {
    include_unreleased: i64,
    department: String,
    keyword: String,
    words: [String; WORDS],
}

impl Needles {
    fn of(filter: &DatasetFilter) -> Self {
        let folded = |text: &Option<String>| text.as_deref().map(key).unwrap_or_default();
        let mut words = [const { String::new() }; WORDS];
        let text = folded(&filter.text);
        let mut given = text.split(' ');
        for word in &mut words {
            *word = given.next().map_or_else(|| "%".to_owned(), pattern);
        }
        Self {
            include_unreleased: i64::from(filter.include_unreleased),
            department: folded(&filter.department),
            keyword: folded(&filter.keyword),
            words,
        }
    }

    fn bind<'q>(&self, query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
        let query = query.bind(self.include_unreleased).bind(self.department.clone()).bind(self.keyword.clone());
        self.words.iter().fold(query, |query, word| query.bind(word.clone()))
    }
}

/// A word as a pattern in which it means only itself.
fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars().take(WORD_CHARS) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn counted(rows: &[AnyRow]) -> Result<Vec<(String, u64)>, StoreError> {
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        values.push((row.try_get::<String, _>(0)?, records::count(row.try_get(1)?)?));
    }
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(values)
}
