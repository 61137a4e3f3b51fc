//! An inventory that comes as a file: CSV with a header, one dataset a row. Read again it changes nothing.

use std::collections::HashSet;

use portico_model::dataset::DatasetMetadata;
use portico_model::inventory::{InventoryEntry, InventoryStatus, PRIORITY_MAX};
use portico_model::name::DatasetName;
use portico_model::policy::Principal;
use serde::{Deserialize, Serialize};

use super::unsaid;
use crate::error::PublishError;
use crate::publisher::Publisher;

/// Rows of a file: the datasets of a state, several times over.
const ROWS_MAX: usize = 50_000;
/// Characters of one text: a page.
const TEXT_CHARS_MAX: usize = 4_000;

/// The columns that a file may have, each as it is called; `name` or `title` has to be there.
const COLUMNS: [&str; 16] = [
    "name",
    "title",
    "public_title",
    "description",
    "department",
    "steward_name",
    "steward_email",
    "source_system",
    "classification",
    "status",
    "reason",
    "citation",
    "priority",
    "records_requests",
    "planned",
    "listed",
];

/// What a file does to the inventory, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Whether it was done: not in a dry run, and not where a line has an error.
    pub done: bool,
    /// Datasets that the inventory did not have.
    pub entered: Vec<DatasetName>,
    /// What the file says otherwise.
    pub changed: Vec<Change>,
    /// Rows that say what is known.
    pub same: u64,
    /// Lines that cannot be taken: nothing is, then.
    pub errors: Vec<LineError>,
}

/// One field that a file says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The dataset.
    pub name: DatasetName,
    /// The column.
    pub field: String,
    /// What is known.
    pub before: String,
    /// What the file says.
    pub after: String,
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// The line of the file, from 1; the header is one.
    pub line: u64,
    /// What is wrong and what to do.
    pub error: String,
}

impl Publisher {
    /// Enters the datasets of a CSV file, all or none. A column that the file does not have leaves what is known as it is.
    ///
    /// # Errors
    /// [`PublishError::BadEntry`] when it is no such file; [`PublishError::EntryChanged`] when somebody else has changed an entry
    /// meanwhile; errors of lines are in the answer.
    pub async fn import_inventory(
        &self,
        principal: &Principal,
        csv: &[u8],
        dry_run: bool,
        now_ms: i64,
    ) -> Result<Import, PublishError> {
        let rows = read(csv)?;
        let mut import = Import::default();
        let mut entries = Vec::with_capacity(rows.len());
        let mut names = HashSet::new();
        for row in rows {
            let line = row.line;
            match self.take(principal, row, &mut names, now_ms).await? {
                Err(error) => import.errors.push(LineError { line, error }),
                Ok((entry, None)) => {
                    import.entered.push(entry.name.clone());
                    entries.push(entry);
                }
                Ok((entry, Some(before))) if before.says_as(&entry) => import.same = import.same.saturating_add(1),
                Ok((entry, Some(before))) => {
                    import.changed.extend(changes(&before, &entry));
                    entries.push(entry);
                }
            }
        }
        if import.errors.is_empty() && !dry_run {
            self.put_entries(&entries, principal.name(), now_ms).await?;
            import.done = true;
        }
        Ok(import)
    }

    /// The entry that a row makes, and the one that is there.
    async fn take(
        &self,
        principal: &Principal,
        row: Row,
        names: &mut HashSet<DatasetName>,
        now_ms: i64,
    ) -> Result<Taken, PublishError> {
        let name = match row.name() {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        if !names.insert(name.clone()) {
            return Ok(Err(format!("{name} is there twice")));
        }
        let before = self.store.catalog.inventory_entry(&name).await?;
        let mut entry = match &before {
            Some(entry) => entry.clone(),
            // What the portal knows of its own dataset it goes on knowing by itself.
            None => match self.store.catalog.dataset(&name).await? {
                Some(record) => unsaid(&record),
                None => InventoryEntry::named(name),
            },
        };
        for (column, text) in &row.cells {
            if let Err(error) = set(&mut entry, column, text) {
                return Ok(Err(error));
            }
        }
        match self.permit_change(principal, &entry, now_ms).await {
            Ok(_) => {}
            Err(PublishError::UnknownDataset(name)) => {
                let error = format!("{name} would not be in your scope: it needs a department of yours");
                return Ok(Err(error));
            }
            Err(error) => return Err(error),
        }
        let faults = faults(&entry);
        Ok(if faults.is_empty() { Ok((entry, before)) } else { Err(faults.join("; ")) })
    }
}

/// The entry that a row makes with the one that is there, or what is wrong with the row.
type Taken = Result<(InventoryEntry, Option<InventoryEntry>), String>;

/// One row of a file.
struct Row {
    line: u64,
    cells: Vec<(&'static str, String)>,
}

impl Row {
    /// The name as it is written, or else the title as a name.
    fn name(&self) -> Result<DatasetName, String> {
        let cell = |wanted: &str| {
            let found = self.cells.iter().find(|(column, _)| *column == wanted);
            found.map(|(_, text)| text.trim()).filter(|text| !text.is_empty())
        };
        match (cell("name"), cell("title")) {
            (Some(name), _) => DatasetName::parse(name).map_err(|error| format!("name: {error}")),
            (None, Some(title)) => DatasetName::parse(&slug(title))
                .map_err(|_| "the title makes no name: give one in the column name".to_owned()),
            (None, None) => Err("a dataset has a name or a title".to_owned()),
        }
    }
}

fn read(csv: &[u8]) -> Result<Vec<Row>, PublishError> {
    let wrong = |text: String| PublishError::BadEntry(vec![text]);
    let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().map_err(|error| wrong(format!("the file is no CSV in UTF-8: {error}")))?.clone();
    let mut columns = Vec::with_capacity(header.len());
    for said in &header {
        let plain = said.to_lowercase().replace([' ', '-'], "_");
        let column = COLUMNS.into_iter().find(|column| *column == plain);
        let column = column
            .ok_or_else(|| wrong(format!("there is no column {said:?}: an inventory has {}", COLUMNS.join(", "))))?;
        if columns.contains(&column) {
            return Err(wrong(format!("the column {column} is there twice")));
        }
        columns.push(column);
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(format!("the file cannot be read: {error}")))?;
        if rows.len() >= ROWS_MAX {
            return Err(wrong(format!("the file has more than {ROWS_MAX} rows")));
        }
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(Row { line, cells: columns.iter().copied().zip(record.iter().map(str::to_owned)).collect() });
    }
    if rows.is_empty() {
        return Err(wrong("the file has a header and no rows".to_owned()));
    }
    Ok(rows)
}

/// Says one field. An empty cell takes back what was said.
fn set(entry: &mut InventoryEntry, column: &str, text: &str) -> Result<(), String> {
    let number = |max: u32| {
        let value = if text.is_empty() { Ok(0) } else { text.parse::<u32>() };
        value.ok().filter(|value| *value <= max).ok_or_else(|| format!("{column} wants a number up to {max}"))
    };
    let field = match column {
        "name" => return Ok(()),
        "title" if text.is_empty() => return Ok(()),
        "status" => {
            let names = || InventoryStatus::ALL.map(InventoryStatus::as_str).join(", ");
            let status = if text.is_empty() { Some(InventoryStatus::Held) } else { InventoryStatus::parse(text) };
            entry.status = status.ok_or_else(|| format!("status wants one of {}", names()))?;
            return Ok(());
        }
        "priority" => {
            entry.priority = u8::try_from(number(u32::from(PRIORITY_MAX))?).unwrap_or(PRIORITY_MAX);
            return Ok(());
        }
        "records_requests" => {
            entry.records_requests = number(1_000_000)?;
            return Ok(());
        }
        "listed" => {
            entry.listed = match text.to_lowercase().as_str() {
                "true" | "yes" | "1" => true,
                "false" | "no" | "0" | "" => false,
                _ => return Err("listed wants true or false".to_owned()),
            };
            return Ok(());
        }
        "title" => &mut entry.title,
        "public_title" => &mut entry.public_title,
        "description" => &mut entry.description,
        "department" => &mut entry.department,
        "steward_name" => &mut entry.steward_name,
        "steward_email" => &mut entry.steward_email,
        "source_system" => &mut entry.source_system,
        "classification" => &mut entry.classification,
        "reason" => &mut entry.reason,
        "citation" => &mut entry.citation,
        _ => &mut entry.planned,
    };
    text.clone_into(field);
    Ok(())
}

/// What is wrong with an entry.
pub(super) fn faults(entry: &InventoryEntry) -> Vec<String> {
    // The metadata of the dataset that it would be have the same forms.
    let mut metadata = DatasetMetadata::named(entry.name.clone());
    metadata.title.clone_from(&entry.title);
    metadata.department.clone_from(&entry.department);
    metadata.steward_name.clone_from(&entry.steward_name);
    metadata.steward_email.clone_from(&entry.steward_email);
    let mut faults = metadata.faults();
    let texts = [
        ("description", &entry.description),
        ("public_title", &entry.public_title),
        ("source_system", &entry.source_system),
        ("classification", &entry.classification),
        ("reason", &entry.reason),
        ("citation", &entry.citation),
    ];
    for (field, text) in texts {
        if text.chars().count() > TEXT_CHARS_MAX {
            faults.push(format!("{field} has more than {TEXT_CHARS_MAX} characters"));
        }
    }
    if entry.status == InventoryStatus::NotPublished
        && (entry.reason.trim().is_empty() || entry.citation.trim().is_empty())
    {
        faults.push(
            "what is not_published wants a reason, and the citation of the law or rule that it rests on".to_owned(),
        );
    }
    if entry.priority > PRIORITY_MAX {
        faults.push(format!("priority wants a number up to {PRIORITY_MAX}"));
    }
    if !entry.planned.is_empty() && !is_day(&entry.planned) {
        faults.push("planned wants a day such as 2026-09-30".to_owned());
    }
    faults
}

/// A day that there is, written in ten characters.
fn is_day(text: &str) -> bool {
    text.len() == "2026-09-30".len() && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// A title as a name: lower-case letters and digits, everything else a hyphen.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.to_lowercase().chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.chars().take(63).collect::<String>().trim_end_matches('-').to_owned()
}

fn changes(before: &InventoryEntry, after: &InventoryEntry) -> Vec<Change> {
    let texts = |entry: &InventoryEntry| {
        [
            ("title", entry.title.clone()),
            ("public_title", entry.public_title.clone()),
            ("description", entry.description.clone()),
            ("department", entry.department.clone()),
            ("steward_name", entry.steward_name.clone()),
            ("steward_email", entry.steward_email.clone()),
            ("source_system", entry.source_system.clone()),
            ("classification", entry.classification.clone()),
            ("status", entry.status.as_str().to_owned()),
            ("reason", entry.reason.clone()),
            ("citation", entry.citation.clone()),
            ("priority", entry.priority.to_string()),
            ("records_requests", entry.records_requests.to_string()),
            ("planned", entry.planned.clone()),
            ("listed", entry.listed.to_string()),
        ]
    };
    let pairs = texts(before).into_iter().zip(texts(after));
    let differ = pairs.filter(|((_, before), (_, after))| before != after);
    let change = |((field, before), (_, said)): ((&str, String), (&str, String))| Change {
        name: after.name.clone(),
        field: field.to_owned(),
        before,
        after: said,
    };
    differ.map(change).collect()
}
