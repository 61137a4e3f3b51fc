//! Values and what they hold.

use super::*;

fn found(text: &str, told: &[Detector]) -> (Vec<Detector>, Vec<(Checked, bool)>) {
    let mut found = Found::default();
    let mut context = Detectors::none();
    told.iter().for_each(|detector| context.add(*detector));
    scan(text.as_bytes(), context, &Words::new(&[]), &mut found);
    let hits =
        Detector::ALL.iter().map(|(detector, _)| *detector).filter(|detector| found.hits.has(*detector)).collect();
    (hits, found.checked.into_iter().map(|check| (check.what, check.is_valid)).collect())
}

fn check(text: &str, expect: &[Detector]) {
    assert_eq!(found(text, &[]).0, expect, "{text}");
}

fn check_numbers(text: &str, expect: &[(Checked, bool)]) {
    assert_eq!(found(text, &[]).1, expect, "{text}");
}

#[test]
fn dashed_social_security_numbers_are_found_anywhere() {
    for text in [
        "219-09-1234",
        "caller's SSN is 219-09-1234.",
        "(219-09-1234)",
        "id 4, 219-09-1234, paid",
        "219\u{2013}09\u{2013}1234",
        "219 - 09 - 1234",
        "SSN-219-09-1234",
        "2020-01-02 219-09-1234",
        "ssn 219091234",
        "SS 219091234",
        "219091234 is his SSN",
        "Social Security number: 219 09 1234",
    ] {
        check(text, &[Detector::Ssn]);
    }
    check("900-70-1234", &[Detector::Itin]);
    check("SSN 666-12-3456", &[Detector::Ssn]);
    check("SSN 000-00-0000", &[]);
}

#[test]
fn numbers_that_only_resemble_social_security_numbers_are_not() {
    for text in [
        "219091234",
        "219 09 1234",
        "R-219-09-1234",
        "219-09-1234-01",
        "0219-09-1234",
        "219-09-12345",
        "000-12-3456",
        "666-12-3456",
        "123-00-4567",
        "900-12-3456",
        "12-219-09-1234",
        "A219-09-1234",
        "27701-1234",
        "2020-01-02",
        "35.994033-78.898619",
        "parcel 0821-12-34-5678",
    ] {
        check(text, &[]);
    }
    assert_eq!(found("219091234", &[Detector::Ssn]).0, [Detector::Ssn]);
    assert_eq!(found("219 09 1234", &[Detector::Ssn]).0, [Detector::Ssn]);
}

#[test]
fn telephone_numbers_have_separators_or_a_column_that_says_so() {
    for text in [
        "919-560-4444",
        "(919) 560-4444",
        "(919)560-4444",
        "919.560.4444",
        "+1 919-560-4444",
        "1-919-560-4444",
        "call 919 560-4444 today",
        "919/560-4444",
        "+1(919)560-4444",
        "fax:919-560-4444",
        "919-560-4444x12",
    ] {
        check(text, &[Detector::Phone]);
    }
    for text in
        ["9195604444", "919 560 4444", "119-560-4444", "919-160-4444", "560-4444", "12919-560-4444", "919-560-44445"]
    {
        check(text, &[]);
    }
    for text in ["9195604444", "919 560 4444", "19195604444"] {
        assert_eq!(found(text, &[Detector::Phone]).0, [Detector::Phone], "{text}");
    }
}

#[test]
fn cards_are_shapes_with_check_digits() {
    check_numbers("4111111111111111", &[(Checked::Card, true)]);
    check_numbers("paid with 4111 1111 1111 1111 today", &[(Checked::Card, true)]);
    check_numbers("4111-1111-1111-1111", &[(Checked::Card, true)]);
    check_numbers("3782 822463 10005", &[(Checked::Card, true)]);
    check_numbers("4111111111111112", &[(Checked::Card, false)]);
    for text in [
        "1643673600000",
        "20220131114700000",
        "35.9940334444555566",
        "-78.41111111111111",
        "4111-1111 1111-1111",
        "X4111111111111111",
        "41111111-11111111",
        "7111111111111111",
        "4111111111111111.5",
    ] {
        check_numbers(text, &[]);
    }
}

#[test]
fn bank_numbers_are_shapes_with_check_digits() {
    check_numbers("GB82 WEST 1234 5698 7654 32", &[(Checked::Iban, true)]);
    check_numbers("to DE89370400440532013000.", &[(Checked::Iban, true)]);
    check_numbers("DE00370400440532013000", &[(Checked::Iban, false)]);
    check_numbers("053000196", &[(Checked::Routing, true)]);
    check_numbers("053000197", &[(Checked::Routing, false)]);
    check_numbers("199000196", &[]);
    check_numbers("053-000196", &[]);
}

#[test]
fn words_tell_what_a_number_is() {
    check("his driver's license number is 12345678", &[Detector::License]);
    check("Drivers License F162823540116", &[Detector::License]);
    check("driver's license: 2270-66-1551", &[Detector::License]);
    check("passport 123456789", &[Detector::Passport]);
    check("checking account 00123456789", &[Detector::Account]);
    check("routing number 053000196", &[Detector::Account]);
    check("DOB: 02/16/1942", &[Detector::Birth]);
    check("born on 1942-02-16", &[Detector::Birth]);
    for text in [
        "license 12345678",
        "no passport shown, case 2020123456",
        "http://x.org/Passports/Renewal/DG_174097",
        "inspected on 02/16/1942",
        "account 12345678",
    ] {
        check(text, &[]);
    }
}

#[test]
fn several_kinds_in_one_text_are_all_found_once() {
    let text = "jo@x.org or 919-560-4444, 919-560-4445, from 106.31.73.20, SSN 219-09-1234";
    check(text, &[Detector::Ssn, Detector::Email, Detector::Phone, Detector::Ip]);
}
