//! Remedies and transformations of earlier releases, which hold for later ones.
//!
//! A remedy is a decision about a column, like leaving it out. Whoever brings the next file may not know of it: what nobody
//! speaks of is inherited, and what was decided otherwise without a reason blocks. To end a remedy, somebody declares the
//! column public and says why.

use arrow::datatypes::{Field as Column, Schema};
use portico_intake::dictionary::{ClassRules, Dictionary, Field, SmallClasses, Treatment, means_column};
use portico_intake::options::ReadOptions;
use portico_intake::remedy::Remedy;
use portico_model::finding::{Finding, Severity};
use portico_model::name::{DatasetName, VersionNumber};
use portico_store::Catalog;

use crate::error::PublishError;
use crate::returned::{Decision, decision, decisions};
use crate::transform;

/// Options with the remedies of the newest release, where they say nothing else.
pub(crate) async fn inherit(
    catalog: &Catalog,
    dataset: &DatasetName,
    options: ReadOptions,
) -> Result<ReadOptions, PublishError> {
    let earlier = decisions(catalog, dataset, &Schema::empty()).await?;
    let Some(Decision { dictionary: before, .. }) = earlier.first() else { return Ok(options) };
    let fields = before.fields.iter().filter(|field| field.remedy.is_some());
    let transformed = before.keep_rows.is_some() || before.fields.iter().any(Field::is_made);
    if fields.clone().next().is_none()
        && !transformed
        && before.drop_rows.is_empty()
        && before.classes.is_none()
        && before.counts.is_none()
    {
        return Ok(options);
    }
    let mut dictionary = options.dictionary.unwrap_or_default();
    transform::inherit(before, &mut dictionary);
    for field in fields {
        take(&mut dictionary, field);
    }
    for rule in &before.drop_rows {
        if !dictionary.drop_rows.contains(rule) && !publishes(&dictionary, &rule.column) {
            dictionary.drop_rows.push(rule.clone());
        }
    }
    if dictionary.classes.is_none() {
        let kept = |classes: &&ClassRules| !classes.quasi_identifiers.iter().any(|name| publishes(&dictionary, name));
        dictionary.classes = before.classes.as_ref().filter(kept).cloned();
    }
    if dictionary.counts.is_none() {
        let kept = before.counts.as_ref().filter(|counts| !publishes(&dictionary, &counts.column)).cloned();
        dictionary.counts = kept;
    }
    Ok(ReadOptions { dictionary: Some(dictionary), ..options })
}

/// The remedy of an earlier field, unless the dictionary says something of the column.
fn take(dictionary: &mut Dictionary, before: &Field) {
    let name = before.rename.as_ref().unwrap_or(&before.name);
    let meant = dictionary.field(&before.name).or_else(|| dictionary.field(name)).map(|field| field.name.clone());
    match dictionary.fields.iter_mut().find(|field| Some(&field.name) == meant.as_ref()) {
        Some(field) if field.treatment == Treatment::Auto && field.remedy.is_none() => field.remedy = before.remedy,
        Some(_) => {}
        None => {
            let rename = before.rename.clone();
            dictionary.fields.push(Field { remedy: before.remedy, rename, ..Field::named(&before.name) });
        }
    }
}

fn publishes(dictionary: &Dictionary, name: &str) -> bool {
    dictionary.field(name).is_some_and(|field| matches!(field.treatment, Treatment::Public { .. }))
}

/// A blocking finding for whatever an earlier release made coarser than these options would.
pub(crate) async fn weakened(
    catalog: &Catalog,
    dataset: &DatasetName,
    (options, class_rows): (&ReadOptions, u64),
    schema: &Schema,
) -> Result<Vec<Finding>, PublishError> {
    let earlier = decisions(catalog, dataset, schema).await?;
    let nothing = Dictionary::default();
    let said = options.dictionary.as_ref().unwrap_or(&nothing);
    let mut findings = Vec::new();
    for column in schema.fields() {
        let Some(before) = remedied(&earlier, column) else { continue };
        let covered = said.remedy(column).is_some_and(|now| now.covers(before));
        if !covered && !said.publishes(column) {
            let message = format!(
                "An earlier release had the remedy {before} for this column; apply it, or one that tells no more, or declare \
                 the column public with a reason."
            );
            findings.push(Finding::on_column(
                "remedy_missing",
                Severity::Blocking,
                column.name(),
                1,
                Vec::new(),
                message,
            ));
        }
    }
    let Some(newest) = earlier.first() else { return Ok(findings) };
    findings.extend(transform::changed(&newest.dictionary, said));
    let rules = newest.dictionary.drop_rows.iter();
    let lost = rules.filter(|rule| !said.drop_rows.contains(rule) && !publishes(said, &rule.column)).count();
    if lost > 0 {
        let message = "An earlier release left out rows by rules that are not there any more; drop them again, or declare the \
                       columns of the rules public with a reason.";
        findings.push(Finding::on_file("remedy_missing", Severity::Blocking, message));
    }
    // Rows that a class or a count has at least, where nobody says how many.
    let k = |said: Option<u64>| said.unwrap_or(class_rows);
    let uncovered = newest.dictionary.counts.as_ref().is_some_and(|before| {
        let kept = said.counts.as_ref().is_some_and(|now| now.column == before.column && k(now.k) >= k(before.k));
        !kept && !publishes(said, &before.column)
    });
    if uncovered || newest.dictionary.classes.as_ref().is_some_and(|before| loosens(said, before, k)) {
        let message = "An earlier release suppressed small classes of rows or small counts, and this one would not, or not as many; suppress \
                       them again, or declare a quasi-identifier or the count public with a reason.";
        findings.push(Finding::on_file("remedy_missing", Severity::Blocking, message));
    }
    Ok(findings)
}

/// A blocking finding for whatever was made of the rows of the version that a file goes on from, and would be made of the
/// file's rows otherwise: one version has one rule for all of its rows.
pub(crate) async fn continued(
    catalog: &Catalog,
    dataset: &DatasetName,
    options: &ReadOptions,
    (base, schema): (VersionNumber, &Schema),
) -> Result<Vec<Finding>, PublishError> {
    if options.mode.replaces() || base == 0 {
        return Ok(Vec::new());
    }
    let nothing = Dictionary::default();
    let before = decision(catalog, dataset, (base, false)).await?.map(|decision| decision.dictionary);
    let before = before.as_ref().unwrap_or(&nothing);
    let said = options.dictionary.as_ref().unwrap_or(&nothing);
    let differs =
        |column: &Column| said.remedy(column) != before.remedy(column) || said.made(column) != before.made(column);
    let changed = schema.fields().iter().filter(|column| differs(column));
    let message = "The rows of the current version had another remedy in this column or were computed otherwise: replace all \
                   rows, or keep the remedy or expression as it was.";
    let mut findings: Vec<Finding> = changed
        .map(|column| Finding::on_column("merge_remedy", Severity::Blocking, column.name(), 1, Vec::new(), message))
        .collect();
    if said.drop_rows != before.drop_rows || said.keep_rows != before.keep_rows {
        let message = "Rows of the current version were left out by other rules: replace all rows, or keep the rules.";
        findings.push(Finding::on_file("merge_remedy", Severity::Blocking, message));
    }
    // Where the file's own dictionary has rules of this kind, the merge itself says so.
    let own = said.classes.is_some() || said.counts.is_some();
    if !own && suppressed(before) {
        findings.push(Finding::on_file("merge_suppressed", Severity::Blocking, SUPPRESSED));
    }
    Ok(findings)
}

/// Said of rows that go on from some of which a part was suppressed.
pub(crate) const SUPPRESSED: &str = "What was suppressed of the current version cannot be counted with the rows of the \
                                     file: where classes or counts have rules, a file replaces all rows.";

/// Whether a release by these rules left out or emptied what was too few.
fn suppressed(dictionary: &Dictionary) -> bool {
    dictionary.counts.is_some()
        || dictionary.classes.as_ref().is_some_and(|classes| classes.small != SmallClasses::Find)
}

/// The remedy that the newest release to know the column had for it.
fn remedied(earlier: &[Decision], column: &Column) -> Option<Remedy> {
    for decision in earlier {
        if let Some(remedy) = decision.dictionary.remedy(column) {
            return Some(remedy);
        }
        if decision.public && decision.schema.field_with_name(column.name()).is_ok() {
            return None;
        }
    }
    None
}

/// Whether classes that were suppressed before may be seen now.
fn loosens(said: &Dictionary, before: &ClassRules, k: impl Fn(Option<u64>) -> u64) -> bool {
    if before.small == SmallClasses::Find || before.quasi_identifiers.iter().any(|name| publishes(said, name)) {
        return false;
    }
    let same = |name: &String, column: &String| {
        means_column(name, &Column::new(column, arrow::datatypes::DataType::Null, true))
    };
    said.classes.as_ref().is_none_or(|now| {
        let kept = |name: &String| now.quasi_identifiers.iter().any(|other| same(name, other) || same(other, name));
        now.small == SmallClasses::Find || k(now.k) < k(before.k) || !before.quasi_identifiers.iter().all(kept)
    })
}
