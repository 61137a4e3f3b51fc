//! One pass over one value: what of the rules on values it holds.
//!
//! Most values are done after counting their digits. Only those with an `@`, two colons or six digits are looked at
//! further, run of digits by run of digits.

use numbers::Run;

use super::digits::{is_card_shape, is_itin, is_luhn, is_phone, is_routing, is_routing_shape, is_ssn};
use super::internet;
use crate::profile::hash;

mod numbers;

/// What a column's name says of its values, so that bare numbers can be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Context {
    pub(super) ssn: bool,
    pub(super) phone: bool,
    pub(super) ip: bool,
    pub(super) routing: bool,
    pub(super) card: bool,
}

/// What one value can hold on its own evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ssn,
    Itin,
    Account,
    License,
    Passport,
    Birth,
    Email,
    Phone,
    Ip,
}

impl Kind {
    /// Every kind, with the code of its rule, in the order of its discriminant.
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::Ssn, "us_ssn"),
        (Self::Itin, "us_itin"),
        (Self::Account, "bank_account"),
        (Self::License, "driver_license"),
        (Self::Passport, "passport"),
        (Self::Birth, "date_of_birth"),
        (Self::Email, "email_address"),
        (Self::Phone, "phone_number"),
        (Self::Ip, "ip_address"),
    ];
}

/// What needs more than one value to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Card,
    Iban,
    Routing,
}

/// What was found in one value; kept and cleared so that nothing is allocated for most values.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) kinds: Vec<Kind>,
    pub(super) checked: Vec<Check>,
    runs: Vec<Run>,
}

/// A number with check digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) what: Checked,
    /// Tells different numbers apart.
    pub(super) hash: u64,
    /// Whether the check digits are right.
    pub(super) is_valid: bool,
    /// Whether it is written in groups or stands in a longer text, which amounts and identifiers do not.
    pub(super) is_marked: bool,
}

/// Looks at one text.
pub(super) fn scan(text: &[u8], context: Context, found: &mut Found) {
    found.kinds.clear();
    found.checked.clear();
    let (mut digits, mut ats, mut colons) = (0_usize, 0_usize, 0_usize);
    for byte in text {
        digits += usize::from(byte.is_ascii_digit());
        ats += usize::from(*byte == b'@');
        colons += usize::from(*byte == b':');
    }
    if ats > 0 && internet::has_email(text) {
        found.kinds.push(Kind::Email);
    }
    if colons >= 2 && internet::has_public_v6(text) {
        found.kinds.push(Kind::Ip);
    }
    if digits >= 4 && (digits >= 6 || context.ip) {
        let mut runs = std::mem::take(&mut found.runs);
        numbers::split(text, &mut runs);
        numbers::look(text, &runs, context, found);
        found.runs = runs;
    }
}

/// A number without separators, in text or in a column of numbers; true when it was of use.
pub(super) fn bare(digits: &[u8], context: Context, in_text: bool, found: &mut Found) -> bool {
    let mut push = |kind: Kind| {
        if !found.kinds.contains(&kind) {
            found.kinds.push(kind);
        }
    };
    match digits.len() {
        9 if context.ssn && is_ssn(digits) => push(Kind::Ssn),
        9 if context.ssn && is_itin(digits) => push(Kind::Itin),
        10 if context.phone && is_phone(digits) => push(Kind::Phone),
        11 if context.phone && digits.starts_with(b"1") && digits.get(1..).is_some_and(is_phone) => push(Kind::Phone),
        9 if is_routing_shape(digits) => {
            let (hash, is_valid) = (hash::of_bytes(digits, 0), is_routing(digits));
            found.checked.push(Check { what: Checked::Routing, hash, is_valid, is_marked: false });
            return false;
        }
        12..=19 => check_card(digits, in_text, found),
        _ => return false,
    }
    true
}

fn check_card(digits: &[u8], is_marked: bool, found: &mut Found) {
    if is_card_shape(digits) {
        let (hash, is_valid) = (hash::of_bytes(digits, 0), is_luhn(digits));
        found.checked.push(Check { what: Checked::Card, hash, is_valid, is_marked });
    }
}

#[cfg(test)]
mod tests;
