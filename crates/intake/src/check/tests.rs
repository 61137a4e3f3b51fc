//! Constraints and what breaks them.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};

use super::*;

fn checked(toml: &str, columns: Vec<(&str, ArrayRef)>) -> Vec<(String, Option<String>, u64, Vec<u64>)> {
    let dictionary = Dictionary::from_toml(toml).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut checker = Checker::new(&batch.schema(), &dictionary, 1 << 20, scratch.path());
    let half = batch.num_rows() / 2;
    checker.push(&batch.slice(0, half), 1).unwrap();
    checker.push(&batch.slice(half, batch.num_rows() - half), convert(half) + 1).unwrap();
    let findings = checker.finish().unwrap();
    findings.into_iter().map(|finding| (finding.rule, finding.column, finding.count, finding.rows)).collect()
}

fn convert(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}

fn check(constraint: &str, array: ArrayRef, expect: &[(&str, &[u64])]) {
    let found = checked(&format!("[[field]]\nname='c'\n{constraint}"), vec![("c", array)]);
    let found: Vec<(&str, &[u64])> = found.iter().map(|(rule, _, _, rows)| (rule.as_str(), rows.as_slice())).collect();
    assert_eq!(found, expect, "{constraint}");
}

fn numbers() -> ArrayRef {
    Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4), Some(2)]))
}

fn texts() -> ArrayRef {
    Arc::new(StringArray::from(vec![Some("A1"), Some("b22"), None, Some("A1"), Some("ä")]))
}

#[test]
fn each_constraint_finds_its_rows() {
    check("required=true", numbers(), &[("constraint_required", &[3])]);
    check("unique=true", numbers(), &[("constraint_unique", &[5])]);
    check("minimum=2", numbers(), &[("constraint_minimum", &[1])]);
    check("minimum=2\nminimum_exclusive=true", numbers(), &[("constraint_minimum", &[1, 2, 5])]);
    check("maximum=1.5", numbers(), &[("constraint_maximum", &[2, 4, 5])]);
    check("allowed=[1, '2']", numbers(), &[("constraint_allowed", &[4])]);
    check("pattern='[12]'", numbers(), &[("constraint_pattern", &[4])]);
    check("allowed=['A1']", texts(), &[("constraint_allowed", &[2, 5])]);
    check("pattern='[A-Z][0-9]'", texts(), &[("constraint_pattern", &[2, 5])]);
    check("length_min=2\nlength_max=2", texts(), &[("constraint_length", &[2, 5])]);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![0, 1, 2, 3]));
    check(
        "minimum=1970-01-02\nmaximum='03/01/1970'\ntype='date'\nformat='%d/%m/%Y'",
        dates,
        &[("constraint_minimum", &[1]), ("constraint_maximum", &[4])],
    );
    let money: ArrayRef = Arc::new(Decimal128Array::from(vec![1_250, 1_251]).with_precision_and_scale(10, 2).unwrap());
    check("maximum='12.5'", money, &[("constraint_maximum", &[2])]);
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5]));
    check("maximum=1\nallowed=['0.5','1.5']", floats, &[("constraint_maximum", &[2])]);
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    check("allowed=['yes']", truths, &[("constraint_allowed", &[2])]);
}

#[test]
fn constraints_that_do_not_fit_the_type_are_findings() {
    check("minimum='soon'", numbers(), &[("constraint_unusable", &[])]);
    check("minimum=1", texts(), &[("constraint_unusable", &[])]);
    check("length_min=1", numbers(), &[("constraint_unusable", &[])]);
    check("allowed=['x']", numbers(), &[("constraint_unusable", &[])]);
}

#[test]
fn a_primary_key_is_whole_and_comes_once() {
    let toml = "primary_key=['A', 'b']\n[[field]]\nname='a'\nunique=true";
    let other: ArrayRef = Arc::new(StringArray::from(vec!["x", "y", "z", "x", "y"]));
    let found = checked(toml, vec![("a", numbers()), ("b", other)]);
    let expect = [
        ("column_undeclared".to_owned(), None, 1, vec![]),
        ("constraint_primary_key".to_owned(), None, 1, vec![5]),
        ("constraint_primary_key".to_owned(), None, 1, vec![3]),
        ("constraint_unique".to_owned(), Some("a".to_owned()), 1, vec![5]),
    ];
    assert_eq!(found, expect);
    let absent = checked("primary_key=['id']", vec![("a", numbers())]);
    assert_eq!((absent.len(), absent[0].0.as_str()), (1, "constraint_primary_key"));
}

#[test]
fn fields_that_the_file_lacks_are_named_unless_dropped() {
    let toml = "[[field]]\nname='a'\n[[field]]\nname='gone'\nrequired=true\n[[field]]\nname='ssn'\ntreatment='drop'\nreason='r'";
    let found = checked(toml, vec![("a", numbers())]);
    assert_eq!(found, [("constraint_column_missing".to_owned(), None, 1, vec![])]);
}

#[test]
fn a_renamed_column_is_found_by_its_name_in_the_file() {
    let dictionary = Dictionary::from_toml("[[field]]\nname='Vote Count'\nrename='votes'\nminimum=0").unwrap();
    let field = arrow_schema::Field::new("votes", arrow_schema::DataType::Int64, true);
    let schema = Schema::new(vec![field]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(vec![-1]))]).unwrap();
    let mut checker = Checker::new(&batch.schema(), &dictionary, 1 << 20, Path::new("unused"));
    checker.push(&batch, 1).unwrap();
    assert_eq!(checker.finish().unwrap()[0].rule, "constraint_minimum");
}
