use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::screen::{Action, ClassActions};

fn table(rows: &[(Option<i64>, &str, &str)]) -> RecordBatch {
    let zip: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
    let sex: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>());
    let illness: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("zip", zip, true), ("sex", sex, true), ("illness", illness, true)])
        .unwrap()
}

fn plan(k: u64, small: SmallClasses) -> ClassPlan {
    let rules = ClassRules {
        quasi_identifiers: vec!["ZIP".to_owned(), "sex".to_owned()],
        k: Some(k),
        sensitive: Some("illness".to_owned()),
        small,
    };
    ClassPlan::new(&table(&[]).schema(), &rules, 5).unwrap()
}

fn counted(plan: &ClassPlan, batch: &RecordBatch, current: Option<&RecordBatch>) -> ClassReport {
    let scratch = tempfile::tempdir().unwrap();
    let mut classes = Classes::new(plan, &batch.schema(), 1 << 20, scratch.path()).unwrap();
    classes.push(batch).unwrap();
    if let Some(current) = current {
        classes.push_current(&current.project(&plan.places).unwrap()).unwrap();
    }
    classes.finish().unwrap()
}

fn suppressed(plan: &ClassPlan, batch: &RecordBatch) -> RecordBatch {
    let scratch = tempfile::tempdir().unwrap();
    let mut classes = Classes::new(plan, &batch.schema(), 1, scratch.path()).unwrap();
    classes.push(batch).unwrap();
    classes.suppression().unwrap().apply(batch, 1).unwrap()
}

#[test]
fn small_unique_and_uniform_classes_are_counted() {
    let mut rows = vec![(Some(27701), "f", "flu"); 5];
    rows.extend([(Some(27701), "m", "flu"), (Some(27701), "m", "none"), (Some(27702), "m", "flu")]);
    let report = counted(&plan(3, SmallClasses::Find), &table(&rows), None);
    assert_eq!((report.rows, report.classes, report.small, report.small_rows, report.unique), (8, 3, 2, 3, 1));
    assert_eq!((report.uniform, report.changed), (1, 0));
    let findings = report.findings(ClassActions::default());
    let rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["small_class", "class_uniform"]);
    assert!(findings[0].blocks() && findings.iter().all(|finding| finding.rows.is_empty()));
    assert!(findings.iter().all(|finding| !finding.message.contains("27702") && !finding.message.contains("flu")));
    let off = ClassActions { small: Action::Off, uniform: Action::Off, ..ClassActions::default() };
    assert!(report.findings(off).is_empty());
}

#[test]
fn classes_that_differ_little_from_the_current_version_are_counted() {
    let current = table(&[vec![(Some(1), "f", "a"); 10], vec![(Some(2), "f", "a"); 10]].concat());
    let next = table(&[vec![(Some(1), "f", "a"); 12], vec![(Some(2), "f", "a"); 30]].concat());
    let report = counted(&plan(5, SmallClasses::Find), &next, Some(&current));
    assert_eq!((report.small, report.changed), (0, 1));
    assert_eq!(counted(&plan(5, SmallClasses::Find), &next, Some(&next)).changed, 0);
}

#[test]
fn what_is_suppressed_is_not_in_the_buffers_either() {
    let rows = [vec![(Some(1), "f", "a"); 5], vec![(Some(99), "secret-token", "a"); 2]].concat();
    let left = suppressed(&plan(3, SmallClasses::Suppress), &table(&rows));
    let sex = left.column(1).as_string::<i32>();
    assert!(!String::from_utf8_lossy(sex.value_data()).contains("secret-token"));
    assert!(!left.column(0).as_primitive::<Int64Type>().values().contains(&99));
    // Two rows alone would be as good as named: a large class went with them.
    assert_eq!(left.column(0).null_count(), 7);
}

proptest! {
    #[test]
    fn suppression_leaves_no_class_below_k(
        rows in proptest::collection::vec((proptest::option::of(0_i64..6), 0..3_usize), 0..200),
        k in 2_u64..8,
        drops in any::<bool>(),
    ) {
        let rows: Vec<(Option<i64>, &str, &str)> =
            rows.into_iter().map(|(zip, sex)| (zip, ["f", "m", "x"][sex], "a")).collect();
        let small = if drops { SmallClasses::DropRows } else { SmallClasses::Suppress };
        let left = suppressed(&plan(k, small), &table(&rows));
        let mut sizes: HashMap<(Option<i64>, Option<&str>), u64> = HashMap::new();
        let (zips, sexes) = (left.column(0).as_primitive::<Int64Type>(), left.column(1).as_string::<i32>());
        for (zip, sex) in zips.iter().zip(sexes) {
            *sizes.entry((zip, sex)).or_default() += 1;
        }
        let few = u64::try_from(rows.len()).unwrap() < k;
        prop_assert!(few || sizes.values().all(|size| *size >= k), "{sizes:?}");
        prop_assert!(drops || left.num_rows() == rows.len());
    }
}
