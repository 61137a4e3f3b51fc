//! What is made up: values with the sentences around them, and columns with their names.

use super::{Maker, STREETS, SUBJECTS};

/// What is put into a sentence, and the rules that shall find it.
pub(super) type Kind = (&'static [&'static str], fn(&mut Maker) -> String, &'static [&'static str]);

/// Labels, values, and sentences with `{}` where the value stands.
pub(super) const KINDS: &[Kind] = &[
    (&["us_ssn"], Maker::ssn, &["caller gave {}", "SSN {}", "soc sec no. is {}, verified", "{}", "re {} (benefits)"]),
    (
        &["us_ssn"],
        |maker| maker.ssn().replace('-', ""),
        &["SSN {}", "his social security number is {}", "SSN: {} on file", "ss {}", "{} is the SSN"],
    ),
    (&["us_itin"], Maker::itin, &["taxpayer {}", "ITIN {}", "{}", "no SSN, uses {}"]),
    (
        &["payment_card"],
        Maker::card,
        &["paid with {} today", "card {} declined", "{}", "visa: {}", "cc#{}", "{}exp 04/27"],
    ),
    (&["iban"], Maker::iban, &["refund to {}", "IBAN {}", "{}"]),
    (&["bank_account"], Maker::routing, &["routing number {}", "ABA no. {}", "bank routing: {}", "rtn {}"]),
    (
        &["bank_account"],
        |maker| maker.digits(11),
        &[
            "checking account {}",
            "bank account number: {}",
            "savings acct no {}",
            "his bank acct is {}",
            "deposited to {} at First Bank",
            "chk acct {}",
        ],
    ),
    (
        &["bank_account"],
        |maker| format!("{} account {}", maker.routing(), maker.digits(10)),
        &["deposit to {}", "routing {}", "wire: {}"],
    ),
    (
        &["driver_license"],
        Maker::license,
        &[
            "driver's license {}",
            "DL# {}",
            "drivers license number is {}",
            "Driver License No. {} NC",
            "showed DLN {}",
            "NCDL {}",
            "license of driver: {}",
            "{} is her driver license",
        ],
    ),
    (
        &["passport"],
        |maker| maker.form("@########"),
        &[
            "passport {}",
            "passport no. {}",
            "his passport number is {}",
            "pspt {}",
            "passport from Mexico, issued last year, {}",
        ],
    ),
    (&["passport"], |maker| maker.digits(9), &["US passport {}", "Passport: {}"]),
    (
        &["license_plate"],
        Maker::plate,
        &[
            "license plate {}",
            "plate number {}",
            "tag # {}",
            "gray van, lic plate: {}",
            "blue Civic, plate {}",
            "NC tag {}",
            "tags {} expired",
        ],
    ),
    (
        &["pin_code"],
        |maker| maker.digits(4),
        &["his PIN is {}", "pin code {}", "PIN: {}", "ATM PIN {}", "pin no {}", "her pin, {}", "uses {} as PIN"],
    ),
    (
        &["password"],
        Maker::password,
        &["password: {}", "the password is {}", "pwd={}", "Password = {}", "pw {}", "login with {}"],
    ),
    (
        &["maiden_name"],
        |maker| maker.last().to_owned(),
        &["maiden name {}", "mother's maiden name is {}", "maiden name: {}", "born {}", "formerly {}"],
    ),
    (
        &["date_of_birth"],
        |maker| maker.date(1930, 2010),
        &["DOB {}", "born on {}", "date of birth: {}", "d.o.b. {}", "birthdate {}", "born {}", "child ({}) fell"],
    ),
    (
        &["person_name_in_text"],
        Maker::name,
        &[
            "spoke with {} about the leak",
            "resident {} called again today",
            "the owner is {} and she left",
            "{} says no one came",
            "per {}: fixed",
        ],
    ),
    (
        &["street_address_in_text"],
        Maker::address,
        &["he lives at {}", "complaint about {}, upstairs", "from {} to the corner", "she moved to {}"],
    ),
    (
        &["biometric_reference"],
        |maker| maker.digits(9),
        &["AFIS {}", "fingerprint no. {}", "FBI number {}", "FBI# {}", "prints on file as {}"],
    ),
    (&["digital_signature", "person_name_in_text"], Maker::name, &["/s/ {}", "/s/{}", "signed electronically by {}"]),
    (&["medicare_number"], Maker::medicare, &["medicare {}", "{}", "card no {}"]),
    (&["email_address"], Maker::email, &["write to {}", "{}", "cc: {};"]),
    (&["phone_number"], Maker::phone, &["call {}", "{}", "office phone {} ext 12", "fax {}", "{}x12"]),
    (&["ip_address"], Maker::ip, &["from {}", "{}", "login at {} failed"]),
];

/// What resembles something and is nothing.
pub(super) const HARD: &[(&str, &[&str])] = &[
    ("####-##-##-####", &["parcel {}", "{}", "PIN {}"]),
    ("##########", &["parcel {}", "PIN: {}", "REID {}", "tax PIN {}"]),
    ("#########", &["permit {}", "{}", "application {} approved"]),
    ("BLD-20##-#####", &["permit {}", "see {}"]),
    ("CE-##-######", &["case {}", "{}"]),
    ("20##-######", &["case {}", "incident {} closed"]),
    ("##CRS######", &["file {}", "docket {}"]),
    ("@@@####", &["asset {}", "bus stop {}"]),
    ("####", &["badge {}", "unit {}", "code {}", "pin count {}"]),
    ("1#####", &["work order {}", "meter {}", "account {}"]),
    ("27###-####", &["zip {}", "Durham NC {}"]),
    ("35.9#####, -78.9#####", &["{}", "at {}"]),
    ("#.#.#.#", &["version {}", "section {}"]),
    ("16##########", &["ts {}", "{}"]),
    ("4###############", &["tracking {}"]),
    ("$#,###,###", &["budget {}", "cost {}"]),
    ("20##-##-##", &["inspected on {}", "due {}"]),
];

/// Sentences about the work of a town.
pub(super) const PLAIN: &[&str] = &[
    "password reset requested",
    "license plate reader broken",
    "driver license office closed",
    "passport fair on Saturday",
    "maiden voyage of the ferry",
    "pin oak needs pruning",
    "bank of Eno River eroded",
    "fingerprint fee waived",
    "{} at Holloway Street",
    "{} near Jordan Lake",
    "{} at Martin Luther King Jr Pkwy",
    "{} by Washington Park",
    "{} @ Main St",
    "call center closed",
    "{}",
];

pub(super) type ColumnKind = (Option<&'static str>, &'static [&'static str], bool, fn(&mut Maker, usize) -> String);

/// Labels, names of columns, whether people are named beside, and values by row.
pub(super) const COLUMNS: &[ColumnKind] = &[
    (Some("ssn_column"), &["ssn", "SocialSecurityNumber", "Applicant SSN"], false, |maker, _| {
        maker.ssn().replace('-', "")
    }),
    (Some("us_ssn"), &["notes", "id", "reference"], false, |maker, _| maker.ssn()),
    (Some("taxpayer_id_column"), &["EIN", "tax_id", "fein"], false, |maker, _| maker.form("##-#######")),
    (Some("payment_card"), &["payment_ref", "notes", "reference"], false, |maker, _| maker.card()),
    (Some("bank_routing"), &["vendor_code", "aba", "routing_number"], false, |maker, _| maker.routing()),
    (Some("bank_account_column"), &["bank_account", "checking_acct_no"], false, |maker, _| maker.digits(11)),
    (Some("driver_license_column"), &["DL Number", "drivers_license", "OLN"], false, |maker, _| maker.license()),
    (Some("license_plate_column"), &["license_plate", "Plate No", "tag_number"], false, |maker, _| maker.plate()),
    (Some("pin_column"), &["pin", "PIN Code", "library_pin"], false, |maker, _| maker.digits(4)),
    (Some("password_column"), &["password", "user_pwd"], false, |maker, _| maker.password()),
    (Some("maiden_name_column"), &["maiden_name", "MothersMaidenName"], false, |maker, _| maker.last().to_owned()),
    (Some("birth_date_column"), &["dob", "BirthDate", "date_of_birth"], true, |maker, _| maker.date(1930, 2015)),
    (Some("person_name"), &["contact", "requested_by", "who"], false, |maker, _| maker.name()),
    (Some("person_name"), &["name", "party"], false, |maker, _| {
        format!("{}, {}", maker.last().to_uppercase(), maker.first().to_uppercase())
    }),
    (Some("street_address"), &["address", "residence", "site"], true, |maker, _| maker.address()),
    (Some("biometric_reference_column"), &["fingerprint_id", "AFIS Number"], false, |maker, _| maker.digits(9)),
    (Some("email_address"), &["contact", "email"], false, |maker, _| maker.email()),
    (Some("phone_number"), &["phone", "telephone"], false, |maker, _| {
        maker.form("919#######").replacen("9190", "9192", 1).replacen("9191", "9193", 1)
    }),
    (None, &["parcel_pin", "PIN", "parcel_id"], false, |maker, _| maker.digits(10)),
    (None, &["case_number", "incident"], false, |maker, row| format!("CE-{:02}-{row:06}", maker.below(25))),
    (None, &["permit_no", "application", "account"], false, |maker, _| maker.digits(9)),
    (None, &["objectid", "row_id"], false, |_, row| (100_000_000 + row).to_string()),
    (None, &["gl_account_number", "fund"], false, |maker, _| maker.form("###-####-######")),
    (None, &["order_id", "tracking"], false, |maker, _| maker.form("4###############")),
    (None, &["parcel", "map_number"], false, |maker, _| maker.form("####-##-##-####")),
    (None, &["park_name", "facility"], false, |maker, _| {
        format!(
            "{} {}",
            maker.last(),
            maker.pick(&["Park", "Recreation Center", "Elementary School", "Library", "Trail"])
        )
    }),
    (None, &["street", "street_name"], false, |maker, _| maker.pick(STREETS).to_owned()),
    (None, &["address", "location"], false, |maker, _| maker.address()),
    (None, &["opened", "inspection_date"], true, |maker, _| maker.date(2012, 2025)),
    (None, &["subject", "type"], false, |maker, _| maker.pick(SUBJECTS).to_owned()),
    (None, &["tree_tag_number", "asset_tag"], false, |maker, _| maker.digits(6)),
    (None, &["epoch_ms", "stamp"], false, |maker, _| (1_643_673_600_000 + maker.below(1 << 36)).to_string()),
    (None, &["latitude", "y"], false, |maker, _| format!("35.9{}", maker.digits(5))),
    (None, &["zip4", "postal"], false, |maker, _| maker.form("277##-####")),
    (None, &["census_block", "geoid"], false, |maker, _| maker.form("37063###########")),
];
