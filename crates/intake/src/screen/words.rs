//! Words that tell what stands after them, found in one pass over a text.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::ruleset::Rule;

/// What words say of what stands after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ssn,
    Account,
    /// An account of any kind: a bank's, if a routing number stands beside it.
    AnyAccount,
    Routing,
    License,
    Passport,
    Plate,
    Pin,
    /// `pin:`, which is a parcel's as well: four digits only.
    ShortPin,
    Password,
    PrivateKey,
    Maiden,
    Birth,
    Biometric,
    Signature,
    /// `/s/` and the like before a name.
    Signed,
    Phone,
    PostBox,
    /// The words of a rule with a pattern, by its place in the rule set.
    Rule(usize),
}

/// Words where they stand in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) said: Said,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How far words may stand before what they tell, in bytes.
pub(super) const REACH: usize = 24;
/// Bytes of the longest words that are looked for, and of what links them to a number before.
pub(super) const WORDS_BYTES: usize = 64;
/// Words that are kept of one text; who writes more says nothing new.
const MARKS_MAX: usize = 65_536;

/// Beginnings of words: `bank acc` stands for `bank account` and `bank accounts`.
const BEGINNINGS: &[(Said, &[&str])] = &[
    (Said::Ssn, &["social security", "soc sec", "soc. sec", "ss#", "ss #", "ss no"]),
    (
        Said::Account,
        &[
            "bank acc",
            "checking acc",
            "savings acc",
            "bank acct",
            "checking acct",
            "savings acct",
            "deposit acc",
            "chequing acc",
            "chk acc",
        ],
    ),
    (Said::AnyAccount, &["account", "acct"]),
    (Said::Routing, &["routing", "aba no", "aba num", "aba #", "aba#"]),
    (
        Said::License,
        &[
            "driver license",
            "drivers license",
            "driver's license",
            "driver\u{2019}s license",
            "driver lic",
            "drivers lic",
            "driver's lic",
            "driving license",
            "driving licence",
            "driver's licence",
            "drivers licence",
            "operator license",
            "operator's license",
        ],
    ),
    (Said::Passport, &["passport"]),
    (
        Said::Plate,
        &[
            "license plate",
            "licence plate",
            "plate number",
            "plate no",
            "plate #",
            "plate num",
            "registration plate",
            "tag number",
            "tag no.",
            "tag #",
            "lic plate",
            "lic. plate",
            "number plate",
            "plate is",
        ],
    ),
    (Said::Pin, &["pin code", "pin number", "pin no.", "pin is", "pin was", "atm pin", "card pin", "debit pin"]),
    (Said::Password, &["password", "passwd", "passphrase", "passcode"]),
    (Said::Maiden, &["maiden name", "surname before marriage", "name before marriage", "birth name"]),
    (Said::Birth, &["d.o.b", "date of birth", "birth date", "birthdate", "born on", "birthday"]),
    (
        Said::Biometric,
        &[
            "fingerprint id",
            "fingerprint no",
            "fingerprint num",
            "fingerprint record",
            "biometric id",
            "biometric record",
            "dna sample",
            "dna profile",
            "fbi number",
            "fbi no",
            "fbi#",
            "fbi #",
            "faceprint id",
        ],
    ),
    (
        Said::Phone,
        &["telephone", "phone num", "phone no", "call me", "reach me", "text me", "answering at", "contact num"],
    ),
    (Said::PostBox, &["p.o. box", "po box", "p. o. box", "post office box"]),
    (
        Said::Signed,
        &["/s/", "signed electronically by", "electronically signed by", "digitally signed by", "e-signed by"],
    ),
    (Said::Signature, &["-----begin pgp signature", "-----begin pkcs7", "-----begin cms"]),
    (
        Said::PrivateKey,
        &[
            "-----begin private key",
            "-----begin rsa private key",
            "-----begin ec private key",
            "-----begin openssh private key",
            "-----begin encrypted private key",
            "-----begin pgp private key",
        ],
    ),
];

/// Words that end where they end: `pin` is not `pine`.
const WHOLE: &[(Said, &[&str])] = &[
    (Said::Ssn, &["ssn", "ss#", "ss"]),
    (Said::License, &["dl", "dln", "dl#", "d.l.", "oln", "ncdl"]),
    (Said::Routing, &["rtn", "aba"]),
    (Said::Plate, &["plate", "plates", "tags", "nc tag", "va tag", "sc tag"]),
    (Said::Pin, &["pin no", "pin nbr"]),
    (Said::ShortPin, &["pin"]),
    (Said::Password, &["pwd", "pass word"]),
    (Said::Maiden, &["nee", "n\u{e9}e", "maiden"]),
    (Said::Birth, &["dob", "born"]),
    (Said::Biometric, &["afis"]),
    (Said::Phone, &["phone", "tel", "cell", "mobile", "fax", "call", "cell phone", "whatsapp"]),
];

/// Finds words.
#[derive(Clone, Debug)]
pub(super) struct Words {
    finder: Option<AhoCorasick>,
    /// What each word says, and whether it has to end where it ends.
    said: Vec<(Said, bool)>,
}

impl Words {
    /// The words of the detectors, and those of the rules.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut said = Vec::new();
        for (list, whole) in [(BEGINNINGS, false), (WHOLE, true)] {
            for (meaning, spellings) in list {
                words.extend(spellings.iter().map(|&word| word.to_owned()));
                said.extend(spellings.iter().map(|_| (*meaning, whole)));
            }
        }
        for (place, rule) in rules.iter().enumerate() {
            words.extend(rule.near.iter().cloned());
            said.extend(rule.near.iter().map(|_| (Said::Rule(place), false)));
        }
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&words);
        Self { finder: built.ok(), said }
    }

    /// Finds the words of a text.
    pub(super) fn find(&self, text: &[u8], marks: &mut Vec<Mark>) {
        marks.clear();
        let Some(finder) = &self.finder else { return };
        for found in finder.find_overlapping_iter(text) {
            let Some((said, whole)) = self.said.get(found.pattern().as_usize()).copied() else { continue };
            let opens = found.start().checked_sub(1).and_then(|before| text.get(before));
            let closes = text.get(found.end());
            let begins = text.get(found.start()).is_some_and(u8::is_ascii_alphanumeric);
            let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
            if (begins && opens.is_some_and(is_letter)) || (whole && closes.is_some_and(is_letter)) {
                continue;
            }
            if marks.len() == MARKS_MAX {
                return;
            }
            marks.push(Mark { said, start: found.start(), end: found.end() });
        }
    }
}

/// Whether one of the marks stands shortly before, with nothing but words between: in the address of a page about
/// passports a number is none.
pub(super) fn told(text: &[u8], marks: &[Mark], start: usize, said: &[Said]) -> bool {
    ending(marks, start.saturating_sub(REACH), start)
        .any(|mark| said.contains(&mark.said) && is_near(text, mark.end, start))
}

/// The marks that end in a range, both ends included: they are in the order of their ends.
pub(super) fn ending(marks: &[Mark], from: usize, to: usize) -> impl Iterator<Item = &Mark> {
    let first = marks.partition_point(|mark| mark.end < from);
    marks.get(first..).unwrap_or_default().iter().take_while(move |mark| mark.end <= to)
}

/// What stands between a number and the words that tell what it was.
const LINKS: &[&[u8]] = &[
    b" is his ",
    b" is her ",
    b" is my ",
    b" is the ",
    b" is their ",
    b" is a ",
    b" as his ",
    b" as her ",
    b" as my ",
];

/// What stands before words that tell it afterwards: `A1234567 is her driver license`.
pub(super) fn told_before<'a>(text: &'a [u8], mark: &Mark) -> Option<&'a [u8]> {
    let before = text.get(..mark.start)?;
    LINKS.iter().find_map(|link| before.strip_suffix(*link))
}

/// Whether nothing but a few words stands between.
pub(super) fn is_near(text: &[u8], end: usize, start: usize) -> bool {
    let is_prose = |byte: &u8| byte.is_ascii_alphabetic() || b" :#.,'()=-\n\t\"".contains(byte) || !byte.is_ascii();
    text.get(end..start).is_some_and(|between| between.len() <= REACH && between.iter().all(is_prose))
}
