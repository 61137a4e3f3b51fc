use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use portico_model::finding::Finding;
use proptest::prelude::*;

use super::*;
use crate::dictionary::{Dictionary, Field};
use crate::screen::{RuleSet, Screener};

fn one(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("value", array, true)]).unwrap()
}

fn key(bit: u8) -> PseudonymKey {
    PseudonymKey::new([bit; 32])
}

fn apply(remedy: &str, array: ArrayRef) -> Result<ArrayRef, RemedyError> {
    let remedy = Some(remedy.parse().unwrap());
    let dictionary = Dictionary { fields: vec![Field { remedy, ..Field::named("value") }], ..Dictionary::default() };
    let (batch, key) = (one(array), key(7));
    let rules = RuleSet::default();
    let mut remedies = Remedies::new(&batch.schema(), &[0], Some(&dictionary), &rules, Some(&key))?;
    let left = remedies.apply(batch)?;
    assert_eq!(left.schema(), remedies.schema());
    Ok(left.column(0).clone())
}

fn shown(array: &ArrayRef) -> Vec<String> {
    let show = |row| arrow::util::display::array_value_to_string(array, row).unwrap();
    (0..array.len()).map(show).collect()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn values_become_what_was_declared() {
    let check = |remedy: &str, array: ArrayRef, expect: &[&str]| {
        assert_eq!(shown(&apply(remedy, array).unwrap()), expect, "{remedy}");
    };
    let dates = || -> ArrayRef { Arc::new(Date32Array::from(vec![Some(19_783), None, Some(-1)])) };
    check("year", dates(), &["2024", "", "1969"]);
    check("month", dates(), &["2024-03", "", "1969-12"]);
    let floats = || -> ArrayRef { Arc::new(Float64Array::from(vec![35.994_033, -78.898_6, f64::NAN])) };
    check("round:2", floats(), &["35.99", "-78.9", "NaN"]);
    check("round:0", floats(), &["36.0", "-79.0", "NaN"]);
    let decimals = Decimal128Array::from(vec![123_456, -123_455]).with_precision_and_scale(9, 3).unwrap();
    check("round:1", Arc::new(decimals), &["123.5", "-123.5"]);
    check(
        "bands:10",
        Arc::new(Int64Array::from(vec![29, 30, -1, 0])),
        &["20 to 29", "30 to 39", "-10 to -1", "0 to 9"],
    );
    check("bands:10", Arc::new(Float64Array::from(vec![29.9])), &["20 to 29"]);
    check("prefix:3", texts(&["27701", "ö", "äöüß"]), &["277", "ö", "äöü"]);
    check("empty", texts(&["a"]), &[""]);
    check("redact", texts(&["call jo@city.example"]), &["call [redacted: email]"]);
}

#[test]
fn a_geometry_keeps_few_decimals() {
    let point = serde_json::json!({"type": "Point", "coordinates": [-78.898_612, 35.994_033]});
    let wkb = portico_model::wkb::from_geojson(&point).unwrap();
    let left = apply("round:2", Arc::new(arrow::array::BinaryArray::from(vec![wkb.as_slice()]))).unwrap();
    let mut text = String::new();
    portico_model::wkb::to_geojson(left.as_binary::<i32>().value(0), &mut text).unwrap();
    assert!(text.contains("[-78.9,35.99]"), "{text}");
}

#[test]
fn a_remedy_that_means_nothing_for_the_type_is_refused() {
    for (remedy, array) in [
        ("year", texts(&["2024-03-01"])),
        ("round:2", texts(&["1.5"])),
        ("round:2", Arc::new(Int64Array::from(vec![1]))),
        ("bands:5", texts(&["31"])),
        ("prefix:3", Arc::new(Int64Array::from(vec![27_701]))),
        ("redact", Arc::new(Int64Array::from(vec![27_701]))),
    ] {
        let error = apply(remedy, array).unwrap_err();
        assert_eq!(error.kind(), portico_model::problem::ProblemKind::InvalidRequest);
        assert!(error.to_string().contains("value") && !error.to_string().contains("27701"), "{error}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for text in ["year", "month", "round:3", "bands:10", "prefix:3", "pseudonym", "redact", "empty"] {
        assert_eq!(text.parse::<Remedy>().unwrap().to_string(), text);
    }
    for text in ["", "blur", "year:1", "round", "round:16", "bands:0", "prefix:x", "redact:all"] {
        assert!(text.parse::<Remedy>().is_err(), "{text}");
    }
    for text in ["status=sealed", "closed=", "notes~us_ssn", "a=b=c"] {
        assert_eq!(text.parse::<RowRule>().unwrap().to_string(), text);
    }
    for text in ["", "status", "=sealed", "notes~"] {
        assert!(text.parse::<RowRule>().is_err(), "{text}");
    }
}

#[test]
fn a_remedy_covers_what_tells_more() {
    let covers = |left: &str, right: &str| left.parse::<Remedy>().unwrap().covers(right.parse().unwrap());
    for (left, right) in [
        ("empty", "redact"),
        ("year", "month"),
        ("round:2", "round:3"),
        ("bands:20", "bands:10"),
        ("prefix:2", "prefix:3"),
    ] {
        assert!(covers(left, right) && covers(left, left) && !covers(right, left), "{left} {right}");
    }
    assert!(!covers("bands:15", "bands:10") && !covers("redact", "pseudonym"));
}

#[test]
fn rows_are_left_out_by_value_by_null_and_by_what_is_found() {
    let status: ArrayRef =
        Arc::new(StringArray::from(vec![Some("open"), Some(" Sealed "), None, Some("open"), Some("open")]));
    let year = Int64Array::from(vec![2020, 2021, 2022, 1999, 2024]);
    let notes = StringArray::from(vec!["a", "b", "c", "d", "ssn 219-09-1234"]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("Status", status, true),
        ("year", Arc::new(year), true),
        ("notes", Arc::new(notes), true),
    ])
    .unwrap();
    let drop_rows =
        ["status=SEALED", "status=", "year=1999.0", "notes~us_ssn"].map(|rule| rule.parse().unwrap()).to_vec();
    let dictionary = Dictionary { drop_rows, ..Dictionary::default() };
    let rules = RuleSet::default();
    // The column that the rule reads need not be released.
    let mut remedies = Remedies::new(&batch.schema(), &[1, 2], Some(&dictionary), &rules, None).unwrap();
    let left = remedies.apply(batch.clone()).unwrap();
    assert_eq!(left.column(0).as_primitive::<Int64Type>().values(), &[2020]);
    let said: Vec<Finding> = remedies.finish();
    assert_eq!((said[0].rule.as_str(), said[0].count), ("rows_dropped", 4));
    assert!(!said[0].message.contains("SEALED"));

    let drop_rows = vec!["status~person_name_column".parse().unwrap()];
    let dictionary = Dictionary { drop_rows, ..Dictionary::default() };
    assert!(matches!(
        Remedies::new(&batch.schema(), &[0], Some(&dictionary), &rules, None),
        Err(RemedyError::NoRule { .. })
    ));
}

#[test]
fn a_remedy_for_no_column_blocks() {
    let field = Field { remedy: Some(Remedy::Redact), ..Field::named("nots") };
    let drop_rows = vec!["state=x".parse().unwrap()];
    let dictionary = Dictionary { fields: vec![field], drop_rows, ..Dictionary::default() };
    let batch = one(texts(&["a"]));
    let remedies = Remedies::new(&batch.schema(), &[0], Some(&dictionary), &RuleSet::default(), None).unwrap();
    let blocking = remedies.finish().into_iter().filter(Finding::blocks).count();
    assert_eq!(blocking, 2);
}

/// As somebody would who has the pseudonyms and knows every value that there may be, but has no key.
#[test]
fn pseudonyms_are_not_found_by_trying_every_value() {
    use sha2::Digest as _;

    let licences: Vec<String> = (0..2_000).map(|number| format!("{number:04}")).collect();
    let values: Vec<&str> = licences.iter().map(String::as_str).collect();
    let left = shown(&apply("pseudonym", texts(&values)).unwrap());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (value, pseudonym) in licences.iter().zip(&left) {
        let bare = hex(&sha2::Sha256::digest(value.as_bytes()));
        assert!(!bare.contains(pseudonym.trim_start_matches('p')) && pseudonym.len() == PSEUDONYM_DIGITS + 1);
    }
    let different: std::collections::HashSet<&String> = left.iter().collect();
    assert_eq!(different.len(), left.len());
}

proptest! {
    #[test]
    fn generalised_is_never_finer_than_declared(days in -100_000_i32..100_000, value in -1e6_f64..1e6, whole in -1_000_000_i64..1_000_000, width in 1_u32..1_000, decimals in 0_u8..6) {
        let date = || -> ArrayRef { Arc::new(Date32Array::from(vec![days])) };
        let month = shown(&apply("month", date()).unwrap());
        prop_assert!(month[0].trim_start_matches('-').len() <= 7);
        let year = apply("year", date()).unwrap();
        prop_assert_eq!(year.data_type(), &DataType::Int64);

        let float = apply(&format!("round:{decimals}"), Arc::new(Float64Array::from(vec![value]))).unwrap();
        let text = format!("{}", float.as_primitive::<Float64Type>().value(0));
        let after = text.split_once('.').map_or(0, |(_, after)| after.len());
        prop_assert!(after <= usize::from(decimals), "{}", text);

        let number = i128::from(whole);
        let array = Decimal128Array::from(vec![number]).with_precision_and_scale(20, 6).unwrap();
        let left = apply(&format!("round:{decimals}"), Arc::new(array)).unwrap();
        let unit = 10_i128.pow(6 - u32::from(decimals));
        prop_assert_eq!(left.data_type(), &DataType::Decimal128(20, i8::try_from(decimals).unwrap()));
        prop_assert!((left.as_primitive::<Decimal128Type>().value(0) * unit - number).abs() * 2 <= unit);

        let band = shown(&apply(&format!("bands:{width}"), Arc::new(Int64Array::from(vec![whole]))).unwrap());
        let low: i64 = band[0].split(" to ").next().unwrap().parse().unwrap();
        prop_assert!(low <= whole && whole < low + i64::from(width) && low % i64::from(width) == 0);
    }

    #[test]
    fn a_pseudonym_is_the_same_for_the_same_value_and_key_alone(value in "\\PC{1,20}", bit in 0_u8..255) {
        let under = |bit: u8, array: ArrayRef| {
            let field = Field { remedy: Some(Remedy::Pseudonym), ..Field::named("value") };
            let dictionary = Dictionary { fields: vec![field], ..Dictionary::default() };
            let batch = one(array);
            let (key, rules) = (key(bit), RuleSet::default());
            let mut remedies = Remedies::new(&batch.schema(), &[0], Some(&dictionary), &rules, Some(&key)).unwrap();
            shown(remedies.apply(batch).unwrap().column(0))
        };
        let first = under(bit, texts(&[&value]));
        prop_assert_eq!(&first, &under(bit, texts(&[&value])));
        prop_assert_ne!(&first, &under(bit + 1, texts(&[&value])));
        prop_assert!(value.len() < 8 || !first[0].contains(&value));
        // A column that the next file's reader takes for numbers has the same pseudonyms.
        prop_assert_eq!(under(bit, texts(&["4711"])), under(bit, Arc::new(Int64Array::from(vec![4711]))));
    }

    #[test]
    fn redaction_leaves_nothing_that_its_rules_find(parts in proptest::collection::vec(0..PARTS.len(), 1..12), glue in 0..3_usize) {
        let text = parts.iter().map(|part| PARTS[*part]).collect::<Vec<_>>().join([" ", ", ", "\n"][glue]);
        let left = apply("redact", texts(&[&text])).unwrap();
        let batch = one(left);
        let mut screener = Screener::new(&batch.schema(), None, &RuleSet::default());
        screener.push(&batch, 1);
        let found: Vec<String> = screener.finish().into_iter().map(|finding| finding.rule).collect();
        prop_assert!(found.is_empty(), "{:?} in {}", found, shown(batch.column(0))[0]);
    }
}

/// What notes are made of: some of it personal, some that resembles it.
const PARTS: &[&str] = &[
    "219-09-1234",
    "SSN 219091234",
    "jo.smith@city.example",
    "(919) 555-0134",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "password: Summer24!",
    "checking account 12345678901",
    "routing 061000052",
    "born 03/04/1980",
    "driver license 12345678",
    "passport C12345678",
    "plate ABC-1234",
    "pin 4821",
    "Mary Johnson",
    "123 Main Street",
    "PO Box 123",
    "/s/ Mary Johnson",
    "from 106.31.73.20",
    "maiden name Miller",
    "1EG4-TE5-MK73",
    "pothole",
    "permit 2024-00123",
    "the",
    "is",
    "account",
    "call",
    "Street",
    "912345678",
    "Smith",
];
