//! Transformations with expressions of the tests' own: `COLUMN` and `COLUMN > NUMBER`.

use arrow::array::{Array as _, BooleanArray, Int64Array, StringArray};
use portico_model::problem::ProblemKind;

use super::*;

/// Fails at the value 13, which it quotes, as an engine must not.
fn toy() -> Expressions {
    let compile = |text: &str, schema: &Schema| {
        let (name, bound) =
            text.split_once(" > ").map_or((text, None), |(name, bound)| (name, bound.parse::<i64>().ok()));
        let place =
            schema.index_of(name).map_err(|_| Problem::new(ProblemKind::UnknownColumn, format!("no {name} here")))?;
        let compute = move |batch: &RecordBatch| -> Result<ArrayRef, Problem> {
            let values = batch.column(place).as_any().downcast_ref::<Int64Array>().unwrap();
            if values.iter().any(|value| value == Some(13)) {
                return Err(Problem::new(ProblemKind::QueryFailed, "It cannot be."));
            }
            Ok(match bound {
                None => Arc::new(values.clone()),
                Some(bound) => {
                    Arc::new(values.iter().map(|value| value.map(|value| value > bound)).collect::<BooleanArray>())
                }
            })
        };
        let data_type = if bound.is_some() { DataType::Boolean } else { DataType::Int64 };
        Ok(Compiled { data_type, compute: Box::new(compute) })
    };
    Expressions { parse: |_| Ok(()), compile }
}

fn batch(numbers: &[Option<i64>]) -> RecordBatch {
    let kinds: StringArray =
        numbers.iter().map(|number| number.map(|number| if number > 5 { "A" } else { "Z" })).collect();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("n", Arc::new(Int64Array::from(numbers.to_vec()))), ("kind", Arc::new(kinds))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn dictionary(text: &str) -> Dictionary {
    Dictionary::from_toml(text).unwrap()
}

fn transform(text: &str) -> Result<Transform, PublishError> {
    let limits = IntakeLimits { derived_columns: 2, expression_bytes: 20, ..IntakeLimits::default() };
    let dictionary = dictionary(text);
    check(Some(&dictionary), toy(), &limits)?;
    Transform::new(&batch(&[]).schema(), Some(&dictionary), toy(), &limits)
}

const ALL: &str = "keep_rows = 'n > 4'\n[[field]]\nname = 'twin'\nderive = 'n'\n[[field]]\nname = 'kind'\n\
    codes = { A = 'above' }\n[[field]]\nname = 'kind_label'\nlabel_of = 'kind'\n";

#[test]
fn rows_are_kept_where_the_condition_is_true_and_columns_come_last() {
    let mut transform = transform(ALL).unwrap();
    let names: Vec<String> = transform.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["n", "kind", "twin", "kind_label"]);
    let first = transform.apply(batch(&[Some(4), Some(5), None, Some(6)])).unwrap();
    assert_eq!(first.column(2).as_primitive::<arrow::datatypes::Int64Type>().values(), &[5, 6]);
    assert_eq!(first.column(3).as_string::<i32>().iter().collect::<Vec<_>>(), [None, Some("above")]);
    assert_eq!(transform.apply(batch(&[None])).unwrap().num_rows(), 0);
    let findings = transform.finish();
    let said: Vec<(&str, u64)> = findings.iter().map(|finding| (finding.rule.as_str(), finding.count)).collect();
    assert_eq!(said, [("rows_filtered", 3), ("column_derived", 1), ("column_derived", 1), ("label_missing", 1)]);
    assert!(!findings.iter().any(Finding::blocks));
}

#[test]
fn a_failure_names_the_column_and_the_rows() {
    let mut transform = transform("[[field]]\nname = 'twin'\nderive = 'n'\n").unwrap();
    transform.apply(batch(&[Some(1), Some(2)])).unwrap();
    let error = transform.apply(batch(&[Some(3), Some(13), None])).unwrap_err();
    assert_eq!(error.kind(), ProblemKind::InvalidRequest);
    let text = error.to_string();
    assert!(text.contains("twin") && text.contains("rows 3 to 5") && !text.contains("13"), "{text}");
}

#[test]
fn what_does_not_fit_the_file_or_the_limits_is_refused() {
    for (text, part) in [
        ("keep_rows = 'm > 4'", "keep_rows: no m here"),
        ("keep_rows = 'n'", "true or false"),
        ("[[field]]\nname = 'n'\nderive = 'n'", "has a column of that name"),
        ("[[field]]\nname = 'a'\nderive = 'm'", "the derived column a: no m here"),
        ("keep_rows = 'n > 1000000000000000000'", "expression_bytes = 20"),
        (
            "[[field]]\nname='a'\nderive='n'\n[[field]]\nname='b'\nderive='n'\n[[field]]\nname='c'\nderive='n'",
            "derived_columns = 2",
        ),
    ] {
        let error = transform(text).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.kind(), ProblemKind::InvalidRequest);
    }
    let lost = "[[field]]\nname = 'code'\ncodes = { A = 'a' }\n[[field]]\nname = 'label'\nlabel_of = 'code'";
    let findings = transform(lost).unwrap().finish();
    assert!(matches!(findings.as_slice(), [one] if one.rule == "label_without_column" && one.blocks()));
}

#[test]
fn what_is_said_before_holds_unless_it_is_decided_otherwise() {
    let before = dictionary(ALL);
    let rules = |now: &Dictionary| changed(&before, now).into_iter().map(|finding| finding.rule).collect::<Vec<_>>();
    let mut nothing = Dictionary::default();
    assert_eq!(rules(&nothing), ["filter_changed", "derivation_changed", "derivation_changed"]);
    inherit(&before, &mut nothing);
    assert_eq!(rules(&nothing), [""; 0]);
    assert_eq!(nothing.field("kind").unwrap().codes["A"], "above");

    // Codes of its own stay; labels are of them.
    let mut other = dictionary("[[field]]\nname = 'kind'\ncodes = { Z = 'below' }\n");
    inherit(&before, &mut other);
    assert!(other.field("kind").unwrap().codes.contains_key("Z") && other.fields.len() == 3);

    let decided = "keep_rows = 'n > 3'\nkeep_rows_reason = 'the council wants more'\n[[field]]\nname = 'twin'\nderive = 'm'\n\
        treatment = 'public'\nreason = 'better'\n[[field]]\nname = 'kind_label'\ntreatment = 'drop'\nreason = 'of no use'\n";
    let decided = dictionary(decided);
    assert_eq!(rules(&decided), [""; 0]);
    // The reason of before is none for another condition.
    let again = Dictionary { keep_rows: Some("n > 2".to_owned()), ..decided.clone() };
    assert_eq!(changed(&decided, &again).len(), 1);
    let without = Dictionary { keep_rows: Some("n > 3".to_owned()), keep_rows_reason: None, ..before.clone() };
    assert_eq!(rules(&without), ["filter_changed"]);
}
