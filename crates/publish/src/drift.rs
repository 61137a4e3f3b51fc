//! Whether what a source brought is like what is public: its columns, how many rows, its nulls, what was found in it.

use arrow_schema::Schema;
use portico_model::finding::{Finding, Severity};
use portico_model::profile::TableProfile;
use portico_store::{Prepared, VersionRecord};

use crate::source::Tolerance;

/// Why somebody has to look at it; nothing if it is like the current version. Columns are named, values never.
pub(crate) fn differences(
    current: &VersionRecord,
    (prepared, profile, findings): (&Prepared, &TableProfile, &[Finding]),
    tolerance: &Tolerance,
) -> Vec<String> {
    let mut reasons = columns(&current.manifest.schema, &prepared.schema);
    reasons.extend(rows(current.manifest.rows, prepared.rows, tolerance));
    if reasons.is_empty() {
        // Where the columns are others, their nulls compare with nothing.
        reasons.extend(nulls(&current.profile, profile, tolerance));
    }
    let told = findings.iter().filter(|finding| finding.severity != Severity::Info);
    reasons.extend(told.filter_map(|finding| found(finding, &current.findings, tolerance)));
    reasons
}

/// What screening found that people have not seen: something new, something worse, or more of it than the rows may grow by.
fn found(finding: &Finding, before: &[Finding], tolerance: &Tolerance) -> Option<String> {
    let about = |finding: &Finding| (finding.rule.clone(), finding.column.clone());
    let known = || before.iter().filter(|known| about(known) == about(finding));
    let seen: u64 = known().map(|known| known.count).fold(0, u64::saturating_add);
    let may_be = u128::from(seen).saturating_mul(100 + u128::from(tolerance.more_rows_percent)) / 100;
    let what = match known().map(|known| known.severity).max() {
        None => "something new",
        Some(severity) if severity < finding.severity => "something worse",
        Some(_) if u128::from(finding.count) > may_be => "more",
        Some(_) => return None,
    };
    Some(match &finding.column {
        Some(column) => format!("screening found {what}: {} in column {column}", finding.rule),
        None => format!("screening found {what}: {}", finding.rule),
    })
}

fn columns(before: &Schema, after: &Schema) -> Vec<String> {
    let mut reasons = Vec::new();
    for field in before.fields() {
        match after.field_with_name(field.name()) {
            Err(_) => reasons.push(format!("column {} is gone", field.name())),
            Ok(now) if now.data_type() != field.data_type() => {
                reasons.push(format!("column {} has another type", field.name()));
            }
            Ok(_) => {}
        }
    }
    for field in after.fields() {
        if before.field_with_name(field.name()).is_err() {
            reasons.push(format!("column {} is new", field.name()));
        }
    }
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if reasons.is_empty() && names(before) != names(after) {
        reasons.push("the columns are in another order".to_owned());
    }
    reasons
}

fn rows(before: u64, after: u64, tolerance: &Tolerance) -> Option<String> {
    let of = |percent: u32| u128::from(before).saturating_mul(u128::from(percent)) / 100;
    let fewer = u128::from(before.saturating_sub(after)) > of(tolerance.fewer_rows_percent);
    let more = u128::from(after.saturating_sub(before)) > of(tolerance.more_rows_percent);
    (fewer || more).then(|| format!("it has {after} rows, the current version {before}"))
}

fn nulls(before: &TableProfile, after: &TableProfile, tolerance: &Tolerance) -> Vec<String> {
    let share = |nulls: u64, rows: u64| u128::from(nulls).saturating_mul(10_000) / u128::from(rows.max(1));
    let mut reasons = Vec::new();
    for column in &after.columns {
        let Some(known) = before.columns.iter().find(|known| known.name == column.name) else { continue };
        let grown = share(column.nulls, after.rows).saturating_sub(share(known.nulls, before.rows));
        if grown > u128::from(tolerance.more_nulls_percent).saturating_mul(100) {
            reasons.push(format!("column {} has more nulls: {} of {} rows", column.name, column.nulls, after.rows));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_grow_and_shrink_as_far_as_said() {
        let tolerance = Tolerance { fewer_rows_percent: 10, more_rows_percent: 50, ..Tolerance::default() };
        for (before, after, held) in [
            (100, 100, false),
            (100, 90, false),
            (100, 89, true),
            (100, 150, false),
            (100, 151, true),
            (0, 0, false),
            (0, 1, true),
            (1, 0, true),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(rows(before, after, &tolerance).is_some(), held, "{before} {after}");
        }
    }

    #[test]
    fn what_people_have_seen_is_no_news_and_more_of_it_is() {
        let finding = |severity, count| Finding {
            column: Some("notes".to_owned()),
            count,
            ..Finding::on_file("us_phone", severity, "x")
        };
        let tolerance = Tolerance { more_rows_percent: 50, ..Tolerance::default() };
        let before = [finding(Severity::Warning, 10)];
        let told = |finding: Finding| found(&finding, &before, &tolerance);
        assert_eq!(told(finding(Severity::Warning, 15)), None);
        assert_eq!(told(finding(Severity::Warning, 16)).unwrap(), "screening found more: us_phone in column notes");
        assert_eq!(
            told(finding(Severity::Blocking, 1)).unwrap(),
            "screening found something worse: us_phone in column notes"
        );
        let new = Finding { column: None, ..finding(Severity::Warning, 1) };
        assert_eq!(told(new).unwrap(), "screening found something new: us_phone");
    }

    #[test]
    fn columns_are_the_same_or_named() {
        use arrow_schema::{DataType, Field};
        let schema = |fields: &[(&str, DataType)]| {
            Schema::new(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
        };
        let before = schema(&[("id", DataType::Int64), ("name", DataType::Utf8)]);
        assert_eq!(columns(&before, &before), [""; 0]);
        let after = schema(&[("id", DataType::Utf8), ("title", DataType::Utf8)]);
        assert_eq!(
            columns(&before, &after),
            ["column id has another type", "column name is gone", "column title is new"]
        );
        let turned = schema(&[("name", DataType::Utf8), ("id", DataType::Int64)]);
        assert_eq!(columns(&before, &turned), ["the columns are in another order"]);
    }
}
