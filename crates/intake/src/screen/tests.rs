//! Whole columns and what is decided.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};

use super::*;

fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn text(value: &str) -> ArrayRef {
    texts([value.to_owned()])
}

fn screened(columns: Vec<(&str, ArrayRef)>, dictionary: Option<&Dictionary>) -> Vec<(String, Severity, u64)> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut screener = Screener::new(&batch.schema(), dictionary);
    screener.push(&batch, 1);
    screener.finish().into_iter().map(|finding| (finding.rule, finding.severity, finding.count)).collect()
}

fn codes(column: &str, array: ArrayRef) -> Vec<(String, Severity)> {
    screened(vec![(column, array)], None).into_iter().map(|(rule, severity, _)| (rule, severity)).collect()
}

fn blocks(column: &str, array: ArrayRef) -> bool {
    codes(column, array).iter().any(|(_, severity)| *severity == Severity::Blocking)
}

/// Numbers of a given length that behave like random ones.
fn numbers(count: u64, digits: u32) -> impl Iterator<Item = u64> {
    let low = 10_u64.pow(digits - 1);
    (1..=count).map(move |n| low + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (low * 9))
}

#[test]
fn hard_negatives_do_not_block() {
    let whole = |digits| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers(5_000, digits).map(|n| n.cast_signed())))
    };
    for digits in 6..=18 {
        assert!(!blocks("permit_number", whole(digits)), "{digits}");
        assert!(!blocks("parcel_id", texts(numbers(5_000, digits).map(|n| n.to_string()))), "{digits}");
    }
    assert!(!blocks("case_number", texts((0..5_000).map(|n| format!("CE-{:02}-{n:06}", n % 25)))));
    assert!(!blocks(
        "parcel",
        texts((0..5_000).map(|n| format!("{:04}-{:02}-{:02}-{:04}", n, n % 90, n % 77, n * 3 % 9999)))
    ));
    let grouped = numbers(5_000, 15)
        .map(|n| format!("4{:03}-{:04}-{:04}-{:04}", n % 1_000, n / 7 % 10_000, n / 13 % 10_000, n / 17 % 10_000));
    assert!(!blocks("order", texts(grouped)));
    assert!(!blocks("zip4", texts((0..100).map(|n| format!("277{:02}-{:04}", n % 100, n * 97)))));
    assert!(!blocks("objectid", Arc::new(Int64Array::from_iter_values(100_000_000..100_005_000))));
    assert!(!blocks(
        "epoch_ms",
        Arc::new(Int64Array::from_iter_values((0..5_000).map(|n| 1_643_673_600_000 + n * 997)))
    ));
    let places = (0..5_000).map(|n| -78.9 + f64::from(n) / 1e5);
    assert!(!blocks("longitude", Arc::new(Float64Array::from_iter_values(places))));
    let amounts = (0..300).map(|n| if n == 7 { 4_222_222_222_222 } else { 1_000_000 + n * 777 });
    assert!(!blocks("gdp", Arc::new(Int64Array::from_iter_values(amounts))));
    assert!(!blocks("office_phone", text("919-560-4444")));
}

#[test]
fn one_social_security_number_blocks_wherever_it_is() {
    let mut values: Vec<String> = (0..1_000).map(|n| format!("pothole number {n}")).collect();
    values[700] = "caller gave 219-09-1234".to_owned();
    assert_eq!(screened(vec![("notes", texts(values))], None), [("us_ssn".to_owned(), Severity::Blocking, 1)]);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![219_091_234, 1_010_001]));
    let expect = [("us_ssn".to_owned(), Severity::Blocking, 2), ("ssn_column".to_owned(), Severity::Blocking, 2)];
    assert_eq!(screened(vec![("ssn", column)], None), expect);
}

#[test]
fn check_digits_decide_by_their_share() {
    let cards = ["4111111111111111", "5500000000000004", "340000000000009"];
    assert!(blocks("payment_ref", texts(cards.map(str::to_owned))));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![4_111_111_111_111_111, 5_500_000_000_000_004]));
    assert!(blocks("ref", whole));
    assert!(blocks("iban", text("GB82WEST12345698765432")));
    assert!(blocks("aba_number", text("053000196")));
    assert!(!blocks("vendor", text("053000196")));
    let routing =
        ["053000196", "021000021", "322271627", "061000104", "011000015", "121000248", "026009593", "071000013"];
    assert!(blocks("vendor", texts(routing.map(str::to_owned))));
    // Three right ones among ten are worth a look, and no more.
    let mixed = (0..7).map(|n| format!("411111111111110{n}")).filter(|card| !digits::is_luhn(card.as_bytes()));
    let mixed: Vec<String> = mixed.chain(cards.map(str::to_owned)).collect();
    assert_eq!(codes("ref", texts(mixed)), [("payment_card".to_owned(), Severity::Warning)]);
}

#[test]
fn names_of_columns_need_values_that_fit() {
    assert!(blocks("drivers_license", text("NC 12345678")));
    assert!(!blocks("drivers_license", text("yes")));
    assert!(!blocks("passport", Arc::new(BooleanArray::from(vec![true]))));
    assert!(!blocks("ssn", Arc::new(StringArray::from(vec![None::<&str>, None]))));
    assert!(blocks("ssn", text("1234")));
    let mut mostly_none = vec!["none".to_owned(); 90];
    mostly_none.push("12345678".to_owned());
    assert_eq!(
        codes("dl_number", texts(mostly_none.clone())),
        [("driver_license_column".to_owned(), Severity::Warning)]
    );
    mostly_none.extend(vec!["NC 87654321".to_owned(); 9]);
    assert!(blocks("dl_number", texts(mostly_none)));
    assert!(blocks("ein", text("12-3456789")) && !blocks("tax_id", text("0821-12-34-5678")));
    assert_eq!(codes("maiden_name", text("Smith")), [("maiden_name_column".to_owned(), Severity::Warning)]);
}

#[test]
fn dates_of_birth_block_beside_a_persons_name() {
    let born = || -> ArrayRef { Arc::new(Date32Array::from(vec![-5_000])) };
    let rule = |severity| vec![("birth_date_column".to_owned(), severity, 1)];
    assert_eq!(screened(vec![("dob", born()), ("ward", text("1"))], None), rule(Severity::Warning));
    assert_eq!(screened(vec![("dob", born()), ("last_name", text("Doe"))], None), rule(Severity::Blocking));
    assert_eq!(screened(vec![("dob", text("02/16/1942")), ("name", text("Doe"))], None), rule(Severity::Blocking));
    assert_eq!(screened(vec![("opened", born()), ("name", text("Doe"))], None), []);
    let dropped = Dictionary::from_toml("[[field]]\nname='name'\ntreatment='drop'\nreason='people'").unwrap();
    assert_eq!(screened(vec![("dob", born()), ("name", text("Doe"))], Some(&dropped)), rule(Severity::Warning));
}

#[test]
fn a_declared_column_informs_and_a_dropped_one_is_not_looked_at() {
    let toml = "[[field]]\nname='SSN'\ntreatment='public'\nreason='made up for training.'\n
        [[field]]\nname='notes'\ntreatment='drop'\nreason='private'";
    let dictionary = Dictionary::from_toml(toml).unwrap();
    let columns = vec![("ssn", text("219-09-1234")), ("notes", text("219-09-1234"))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut screener = Screener::new(&batch.schema(), Some(&dictionary));
    screener.push(&batch, 1);
    let findings = screener.finish();
    assert_eq!(findings.len(), 2);
    for finding in findings {
        assert_eq!((finding.severity, finding.column.as_deref()), (Severity::Info, Some("ssn")));
        assert!(finding.message.contains("made up for training."), "{}", finding.message);
    }
}

#[test]
fn findings_carry_rows_and_never_values() {
    let values: Vec<String> = (0..30).map(|n| format!("mail to person{n}@example.org")).collect();
    let batch = RecordBatch::try_from_iter([("contact", texts(values))]).unwrap();
    let mut screener = Screener::new(&batch.schema(), None);
    screener.push(&batch.slice(0, 10), 1);
    screener.push(&batch.slice(10, 20), 11);
    let findings = screener.finish();
    assert_eq!((findings[0].count, findings[0].rows.len()), (30, 10));
    assert!(!findings[0].message.contains("person"));
}

#[test]
fn every_rule_has_a_code_of_its_own_and_every_finding_a_rule() {
    let mut codes: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), RULES.len());
    for (_, code) in scan::Kind::ALL {
        assert!(rules::by_code(code).is_some(), "{code}");
    }
    assert!(RULES.iter().all(|rule| !rule.basis.is_empty() && !rule.description.ends_with('.')));
    assert_eq!((grouped(7), grouped(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
}
