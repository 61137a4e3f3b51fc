//! What screening can look for by itself, by the names that rule sets use.

use serde::{Deserialize, Serialize};

macro_rules! detectors {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A matcher that a rule may name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Detector {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Detector {
            /// Every detector with the name that rule sets use, in the order of the discriminants.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$variant, $name),)+];
        }
    };
}

detectors! {
    /// Social Security numbers: with dashes anywhere, bare where the column's name or words before say so.
    Ssn = "us_ssn",
    /// Individual taxpayer numbers, likewise.
    Itin = "us_itin",
    /// Card numbers of a known network; half of the different ones must have the right check digit.
    Card = "payment_card",
    /// International bank account numbers with the length of their country, likewise by check digits.
    Iban = "iban",
    /// Routing numbers of American banks, likewise by check digits.
    Routing = "bank_routing",
    /// Numbers after words of a bank account, or after `account` beside a routing number.
    Account = "bank_account",
    /// Licences in the formats of the states, after words that say so.
    License = "driver_license",
    /// Passport numbers after the word.
    Passport = "passport",
    /// Registration plates after words that say so.
    Plate = "license_plate",
    /// Four to six digits after words of a personal code.
    Pin = "pin_code",
    /// What stands after `password:` and the like, and private keys.
    Password = "password",
    /// A name after words of a birth name.
    Maiden = "maiden_name",
    /// Dates after words of birth.
    Birth = "date_of_birth",
    /// A column of dates that spread like dates of birth.
    BirthSpread = "birth_date_spread",
    /// Whole values that are a first and a last name.
    Name = "person_name",
    /// A first and a last name within longer text.
    NameInText = "person_name_in_text",
    /// Whole values that are street addresses.
    Address = "street_address",
    /// Street addresses and post office boxes within longer text.
    AddressInText = "street_address_in_text",
    /// Numbers of fingerprint and DNA records after words that say so.
    Biometric = "biometric_reference",
    /// Signatures in the formats of OpenPGP and CMS, and `/s/` before a name.
    Signature = "digital_signature",
    /// Numbers of Medicare beneficiaries by the format of their eleven places.
    Medicare = "medicare_number",
    /// E-mail addresses.
    Email = "email_address",
    /// Telephone numbers: North American and international ones, others after words that say so.
    Phone = "phone_number",
    /// Public addresses of machines.
    Ip = "ip_address",
    /// Whole values that are MD5, SHA-1 or SHA-256 digests in hexadecimal digits.
    Digest = "hex_digest",
}

/// A set of detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Detectors(u32);

impl Detectors {
    pub(super) const fn none() -> Self {
        Self(0)
    }

    pub(super) const fn has(self, detector: Detector) -> bool {
        self.0 & bit(detector) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn add(&mut self, detector: Detector) {
        self.0 |= bit(detector);
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[allow(clippy::as_conversions, reason = "the discriminant of an enum without fields is a small number")]
const fn bit(detector: Detector) -> u32 {
    1 << (detector as u32)
}

/// The position in [`Detector::ALL`].
#[allow(clippy::as_conversions, reason = "the discriminant of an enum without fields is a small number")]
pub(super) const fn place(detector: Detector) -> usize {
    detector as usize
}
