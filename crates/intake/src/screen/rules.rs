//! The table of screening rules.

use portico_model::finding::Severity;

/// How a rule tells what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The shape of a value alone: one is enough.
    Pattern,
    /// Shape and check digits. Check digits come right by chance (1 in 10 for cards and routing numbers, 1 in 97 for IBAN),
    /// so at least half of the different values of the shape must have them right, unless the column's name says it.
    Checksum,
    /// A number with telling words right before it in a longer text.
    Words,
    /// The column's name, with values that could be what it says.
    Header,
}

/// One screening rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stable code that findings carry.
    pub code: &'static str,
    /// What a finding means for the release, unless the description names an exception.
    pub severity: Severity,
    /// How the rule decides.
    pub evidence: Evidence,
    /// The law that makes it matter, for the steward and the council's lawyer.
    pub basis: &'static str,
    /// What is looked for, to complete "N values hold what looks like …".
    pub description: &'static str,
}

const SSN_LAW: &str = "N.C.G.S. 132-1.10(b)(5), 14-113.20(b)(1)";
const LICENSE_LAW: &str = "N.C.G.S. 132-1.10(b)(5), 14-113.20(b)(2)";
const ACCOUNT_LAW: &str = "N.C.G.S. 132-1.10(b)(5), 14-113.20(b)(3), (4) and (10)";
const CARD_LAW: &str = "N.C.G.S. 132-1.10(b)(5), 14-113.20(b)(5) and (6)";
const BIRTH_LAW: &str = "N.C.G.S. 132-1.2(4), 132-1.12";
const ELECTRONIC_LAW: &str = "N.C.G.S. 14-113.20(b)(8), not restricted by 132-1.10(b)(5)";

const fn rule(
    code: &'static str,
    severity: Severity,
    evidence: Evidence,
    basis: &'static str,
    description: &'static str,
) -> Rule {
    Rule { code, severity, evidence, basis, description }
}

/// Every rule, in the order of the documentation: first those on values, then those on names of columns.
pub const RULES: &[Rule] = &[
    rule("us_ssn", Severity::Blocking, Evidence::Pattern, SSN_LAW, "U.S. Social Security numbers"),
    rule("us_itin", Severity::Blocking, Evidence::Pattern, SSN_LAW, "U.S. individual taxpayer numbers"),
    rule("payment_card", Severity::Blocking, Evidence::Checksum, CARD_LAW, "numbers of payment cards"),
    rule("iban", Severity::Blocking, Evidence::Checksum, ACCOUNT_LAW, "international bank account numbers"),
    rule("bank_routing", Severity::Blocking, Evidence::Checksum, ACCOUNT_LAW, "U.S. bank routing numbers"),
    rule("bank_account", Severity::Blocking, Evidence::Words, ACCOUNT_LAW, "bank account numbers within text"),
    rule("driver_license", Severity::Blocking, Evidence::Words, LICENSE_LAW, "driver's license numbers within text"),
    rule("passport", Severity::Blocking, Evidence::Words, LICENSE_LAW, "passport numbers within text"),
    rule("date_of_birth", Severity::Warning, Evidence::Words, BIRTH_LAW, "dates of birth within text"),
    rule("email_address", Severity::Warning, Evidence::Pattern, ELECTRONIC_LAW, "e-mail addresses"),
    rule("phone_number", Severity::Warning, Evidence::Pattern, "N.C.G.S. 132-1.12", "telephone numbers"),
    rule("ip_address", Severity::Warning, Evidence::Pattern, ELECTRONIC_LAW, "public IP addresses"),
    rule("ssn_column", Severity::Blocking, Evidence::Header, SSN_LAW, "Social Security numbers or parts of them"),
    rule("taxpayer_id_column", Severity::Blocking, Evidence::Header, SSN_LAW, "taxpayer or employer numbers"),
    rule("driver_license_column", Severity::Blocking, Evidence::Header, LICENSE_LAW, "driver's license numbers"),
    rule("passport_column", Severity::Blocking, Evidence::Header, LICENSE_LAW, "passport or identity card numbers"),
    rule("bank_account_column", Severity::Blocking, Evidence::Header, ACCOUNT_LAW, "bank account numbers"),
    rule("payment_card_column", Severity::Blocking, Evidence::Header, CARD_LAW, "payment cards or their codes"),
    rule(
        "password_column",
        Severity::Blocking,
        Evidence::Header,
        "N.C.G.S. 132-1.10(b)(5), 14-113.20(b)(7) and (13)",
        "passwords or codes for access",
    ),
    rule(
        "biometric_column",
        Severity::Blocking,
        Evidence::Header,
        "N.C.G.S. 132-1.10(b)(5), 14-113.20(b)(11) and (12)",
        "biometric data",
    ),
    rule(
        "signature_column",
        Severity::Blocking,
        Evidence::Header,
        "N.C.G.S. 132-1.2(4), 14-113.20(b)(9)",
        "signatures",
    ),
    rule(
        "medical_record_column",
        Severity::Blocking,
        Evidence::Header,
        "45 CFR 164.514(b)(2)(i)(H) and (I)",
        "medical record or health plan numbers",
    ),
    // Blocking beside a column of people's names, a warning without one.
    rule("birth_date_column", Severity::Blocking, Evidence::Header, BIRTH_LAW, "dates of birth"),
    rule(
        "maiden_name_column",
        Severity::Warning,
        Evidence::Header,
        "N.C.G.S. 14-113.20(b)(14), not restricted by 132-1.10(b)(5)",
        "surnames before marriage",
    ),
    rule(
        "account_number_column",
        Severity::Warning,
        Evidence::Header,
        "N.C.G.S. 14-113.20(b)(10), 132-1.1(c)",
        "numbers of accounts, which may be those of bank or utility customers",
    ),
    rule("account_name_column", Severity::Warning, Evidence::Header, ELECTRONIC_LAW, "names of user accounts"),
];

/// The rule of a code of the table.
pub(super) fn by_code(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}
