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
    let mut screener = Screener::new(&batch.schema(), dictionary, &RuleSet::default());
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
    let screened = |columns, dictionary| {
        let mut found = screened(columns, dictionary);
        found.retain(|(rule, ..)| rule != "person_name_column");
        found
    };
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
    let mut screener = Screener::new(&batch.schema(), Some(&dictionary), &RuleSet::default());
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
    let mut screener = Screener::new(&batch.schema(), None, &RuleSet::default());
    screener.push(&batch.slice(0, 10), 1);
    screener.push(&batch.slice(10, 20), 11);
    let findings = screener.finish();
    assert_eq!((findings[0].count, findings[0].rows.len()), (30, 10));
    assert!(!findings[0].message.contains("person"));
}

fn found_in(value: &str) -> Vec<String> {
    let mut rules: Vec<String> = codes("notes", text(value)).into_iter().map(|(rule, _)| rule).collect();
    rules.sort();
    rules
}

/// Rules, what they find in a comment, and what only resembles it.
const COMMENTS: &[(&str, &[&str], &[&str])] = &[
    (
        "driver_license",
        &[
            "driver's license A1234567",
            "DL# 12345678",
            "Drivers Lic. no: NC 000012345678",
            "his DLN is S123-4567-8901",
            "A1234567 is her driver license",
        ],
        &[
            "license 12345678",
            "driver license fee 25",
            "driver's license renewed 2021-03-04",
            "DL 5",
            "model DL-380 at 5th",
        ],
    ),
    (
        "license_plate",
        &["license plate PKR-4567", "plate number ABC 1234", "tag # HDX1290", "black Ford, lic plate: XYZ1234"],
        &["license plate reader at 5th Ave", "plate glass 1234", "tag number 4512", "license plate not seen"],
    ),
    (
        "pin_code",
        &["his PIN is 4711", "pin code 004711", "PIN: 1234", "ATM pin 9876"],
        &["parcel PIN 0821-12-34-5678", "PIN: 082112", "pin 1234", "pine 1234", "PIN number 0821123456"],
    ),
    (
        "password",
        &[
            "password: hunter2",
            "the password is S3cret!",
            "pwd=abc123",
            "Password = \"correct\"",
            "-----BEGIN RSA PRIVATE KEY-----",
        ],
        &["password reset requested", "password is required", "password: see the office", "forgot password, account 7"],
    ),
    (
        "maiden_name",
        &["maiden name Smith", "mother's maiden name is O'Neill", "Jane Roe, n\u{e9}e Doe", "nee Smith"],
        &["maiden voyage", "maiden name unknown", "Nee Family Cafe", "needs repair"],
    ),
    (
        "date_of_birth",
        &["DOB: 02/16/1942", "born on February 16, 1942", "date of birth 16 Feb 1942", "born on 1942-02-16"],
        &["inspected on 02/16/1942", "born in Durham", "dob unknown"],
    ),
    (
        "biometric_reference",
        &["AFIS 00123456", "fingerprint id FP-20934", "FBI number 123456AB7"],
        &["fingerprint fee 25", "AFIS fee", "fingerprinted 3 people"],
    ),
    (
        "digital_signature",
        &["-----BEGIN PGP SIGNATURE-----", "/s/ Jane Roe"],
        &["signature on file", "w/s/ 12", "begin signature"],
    ),
    ("medicare_number", &["card 1EG4-TE5-MK73"], &["permit 1EG4TE5MK7", "1234-567-8901"]),
    (
        "passport",
        &["passport no. C12345678", "C12345678 is the passport", "Passport: 123456789"],
        &["no passport shown, case 2020123456", "passport 12"],
    ),
    (
        "bank_account",
        &["checking account 00123456789", "routing 053000196 account 12345678", "bank acct #445566"],
        &["account 12345678", "accounting code 12345678", "budget account 4512 of 053000196"],
    ),
    (
        "street_address_in_text",
        &["caller lives at 123 Main St", "moved from 9 Oak Ridge Road", "mail to P.O. Box 1234"],
        &["on Main St", "2 ways to pay", "3 potholes on Oak St"],
    ),
    ("access_code", &["gate code 4711#", "Door code is 1234"], &["code 1234", "zip code 27701", "building code 4711"]),
    (
        "phone_number",
        &[
            "call me at 0494 92 82 32",
            "answering at 78 651 450",
            "+44 20 7946 0958",
            "cell 919 560 4444",
            "phone: 560-4444",
        ],
        &["call 911", "phone booth 12", "called 2020-01-02", "telephone poles 12 34", "12 34 56 78"],
    ),
];

#[test]
fn personal_data_in_comments_are_found_and_what_resembles_them_is_not() {
    let mut faults = Vec::new();
    for (rule, positives, negatives) in COMMENTS {
        let has = |value: &&&str| found_in(value).iter().any(|found| found == rule);
        faults.extend(positives.iter().filter(|value| !has(value)).map(|value| format!("{rule} is not in {value}")));
        faults.extend(negatives.iter().filter(has).map(|value| format!("{rule} is in {value}")));
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn names_of_people_are_told_by_their_share() {
    let people = ["Mary Jones", "John Smith", "Linda Garcia", "James Szabo", "SMITH, ANN", "Kevin Brown"];
    let rule = ("person_name".to_owned(), Severity::Warning);
    assert!(codes("contact", texts(people.map(str::to_owned))).contains(&rule));
    let parks =
        ["Jordan Lake", "Grace Park", "Forest Hills", "Martin Luther King Jr Blvd", "Franklin County", "Duke Street"];
    assert_eq!(codes("place", texts(parks.map(str::to_owned))), []);
    let few = people.iter().map(|name| (*name).to_owned()).chain((0..40).map(|n| format!("Pothole {n}")));
    assert_eq!(codes("subject", texts(few)), []);
    assert!(codes("first_name", text("Zbigniew")).contains(&("person_name_column".to_owned(), Severity::Warning)));
}

#[test]
fn places_warn_beside_names_of_people_alone() {
    let people = || texts(["Mary Jones", "John Smith", "Linda Garcia"].map(str::to_owned));
    let addresses = || texts(["12 Main St", "7 Oak Ave", "9 Elm Dr Apt 4"].map(str::to_owned));
    let degrees = || -> ArrayRef { Arc::new(Float64Array::from(vec![35.994_033, 35.123_456, 35.998_877])) };
    let coarse = || -> ArrayRef { Arc::new(Float64Array::from(vec![35.99, 35.12, 35.5])) };
    let names = |columns| screened(columns, None).into_iter().map(|(rule, ..)| rule).collect::<Vec<_>>();
    assert_eq!(names(vec![("site", addresses()), ("latitude", degrees())]), [""; 0]);
    let all = names(vec![("who", people()), ("site", addresses()), ("latitude", degrees())]);
    assert_eq!(all, ["person_name", "street_address", "precise_location"]);
    assert_eq!(names(vec![("who", people()), ("latitude", coarse())]), ["person_name"]);
    let dropped = Dictionary::from_toml("[[field]]\nname='who'\ntreatment='drop'\nreason='people'").unwrap();
    assert_eq!(screened(vec![("who", people()), ("latitude", degrees())], Some(&dropped)), []);
}

#[test]
fn dates_that_spread_like_births_warn_beside_names() {
    let people = || texts((0..60).map(|n| format!("{} Smith", ["Mary", "John", "Linda"][n % 3])));
    let dates = |step: i32| -> ArrayRef { Arc::new(Date32Array::from_iter_values((0..60).map(|n| -9_000 + n * step))) };
    let found = |column, step| {
        let columns = vec![(column, dates(step)), ("who", people())];
        screened(columns, None).iter().any(|(rule, ..)| rule == "birth_date_spread")
    };
    assert!(found("date_1", 331));
    assert!(!found("hire_date", 331) && !found("date_1", 31));
    assert_eq!(screened(vec![("date_1", dates(331))], None), []);
}

#[test]
fn a_code_of_four_digits_blocks_by_its_name_and_a_parcel_does_not() {
    let codes_of = |digits: u32| texts(numbers(50, digits).map(|n| n.to_string()));
    assert!(blocks("pin", codes_of(4)) && blocks("library_pin", codes_of(6)));
    assert!(!blocks("pin", codes_of(10)) && !blocks("parcel_pin", codes_of(4)));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1_234, 4_711, 9_876]));
    assert!(blocks("pin", numbers));
    let small: ArrayRef = Arc::new(arrow::array::Int16Array::from(vec![1_234, 4_711, 9_876]));
    assert!(blocks("pin_code", small));
}

#[test]
fn rules_of_another_state_take_the_place_of_the_built_in_ones() {
    let rules = RuleSet::from_toml(
        r#"
        title = "Elsewhere"
        [[rule]]
        id = "badge"
        title = "badge numbers"
        clause = "Elsewhere Code 12-3"
        action = "block"
        pattern = '\b[0-9]{6}\b'
        near = ["badge"]
        columns = ["badge"]
        checksum = "luhn"
        distinct = 2
        [[rule]]
        id = "us_ssn"
        title = "Social Security numbers"
        clause = "42 U.S.C. 405"
        action = "off"
        detector = "us_ssn"
        "#,
    )
    .unwrap();
    let found = |column: &str, values: &[&str]| {
        let array = texts(values.iter().map(|value| (*value).to_owned()));
        let batch = RecordBatch::try_from_iter([(column, array)]).unwrap();
        let mut screener = Screener::new(&batch.schema(), None, &rules);
        screener.push(&batch, 1);
        let findings = screener.finish();
        assert_eq!((findings[0].rule.as_str(), findings[0].severity), ("screened_by", Severity::Info));
        assert!(findings[0].message.contains("Elsewhere") && findings[0].message.contains("not looked for: us_ssn"));
        assert!(findings.iter().skip(1).all(|finding| finding.message.contains("Elsewhere Code 12-3")));
        findings.into_iter().skip(1).map(|finding| (finding.severity, finding.count)).collect::<Vec<_>>()
    };
    assert_eq!(found("notes", &["badge 123455", "Badge no. 123463", "219-09-1234"]), [(Severity::Blocking, 2)]);
    assert_eq!(found("notes", &["badge 123455", "badge no. 123455"]), [(Severity::Blocking, 2)]);
    assert_eq!(found("notes", &["badge 123455", "badge 123455"]), [(Severity::Warning, 2)]);
    assert_eq!(found("notes", &["badge 123456", "case 123455"]), []);
    assert_eq!(found("badge", &["123455", "123463"]), [(Severity::Blocking, 2)]);
}

#[test]
fn columns_that_the_dictionary_classifies_block_unless_dropped() {
    let found = |field: &str| {
        let dictionary = Dictionary::from_toml(&format!("[[field]]\nname='notes'\n{field}")).unwrap();
        let batch = RecordBatch::try_from_iter([("notes", text("fine")), ("other", text("fine"))]).unwrap();
        let mut screener = Screener::new(&batch.schema(), Some(&dictionary), &RuleSet::default());
        screener.push(&batch, 1);
        screener.finish()
    };
    let blocked = found("classification='personnel'");
    assert_eq!((blocked[0].rule.as_str(), blocked[0].severity), ("restricted_column", Severity::Blocking));
    assert!(blocked[0].message.contains("160A-168"), "{}", blocked[0].message);
    let overridden = found("classification='personnel'\ntreatment='public'\nreason='names of jobs only'");
    assert_eq!((overridden[0].rule.as_str(), overridden[0].severity), ("restricted_column", Severity::Info));
    assert!(overridden[0].message.contains("names of jobs only"));
    assert_eq!(found("classification='personnel'\ntreatment='drop'\nreason='r'"), []);
    let unknown = found("classification='persnnel'");
    assert_eq!((unknown[0].rule.as_str(), unknown[0].severity), ("classification_unknown", Severity::Blocking));
    assert!(!unknown[0].message.contains("persnnel") && unknown[0].message.contains("utility_billing"));
}

#[test]
fn texts_of_nothing_but_telling_words_take_one_pass() {
    // At the square of their length these would take minutes.
    for piece in [
        "pin 1234 ",
        "account 123456 ",
        "password:",
        "dl-",
        "gate code ",
        "SSN 1 ",
        "/s/",
        "call 1-1-1-",
        "n\u{e9}e ",
        "123456 ",
        "1 A ",
        "plate A ",
        "219091234 is his ",
        "@a",
        "::",
        "Mary J ",
    ] {
        let long = format!("{}{}", " ".repeat(100_000), piece.repeat(300_000 / piece.len()));
        codes("notes", text(&long));
    }
}

#[test]
fn numbers_are_grouped_for_people() {
    assert_eq!((grouped(7), grouped(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
}
