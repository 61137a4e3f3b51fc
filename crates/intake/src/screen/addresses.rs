//! Street addresses: a number, a name and the kind of street.

use super::detector::{Detector, Detectors};

/// Words between the number and the kind of street.
const WORDS_MAX: usize = 5;
/// Bytes of a value that is an address with city, state and code.
const WHOLE_BYTES_MAX: usize = 100;

const KINDS: &[&str] = &[
    "st",
    "street",
    "ave",
    "av",
    "avenue",
    "rd",
    "road",
    "dr",
    "drive",
    "ln",
    "lane",
    "blvd",
    "boulevard",
    "ct",
    "court",
    "cir",
    "circle",
    "pl",
    "place",
    "ter",
    "terr",
    "terrace",
    "pkwy",
    "parkway",
    "hwy",
    "highway",
    "trl",
    "trail",
    "sq",
    "square",
    "aly",
    "alley",
    "xing",
    "crossing",
    "cv",
    "cove",
    "way",
    "pike",
    "loop",
    "walk",
    "row",
    "expy",
    "expressway",
    "tpke",
    "turnpike",
];

/// Looks for addresses; true when one was found.
pub(super) fn look(text: &[u8], hits: &mut Detectors) {
    let trimmed = text.trim_ascii();
    let mut place = 0;
    while let Some(found) = trimmed.get(place..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let start = place + found;
        let end = start + digits(trimmed, start);
        let opens = start == 0 || trimmed.get(start - 1).is_some_and(|byte| b" \n\t(,:;\"".contains(byte));
        if opens
            && end - start <= 6
            && trimmed.get(end) == Some(&b' ')
            && is_street(trimmed.get(end..).unwrap_or_default())
        {
            let whole = start == 0 && trimmed.len() <= WHOLE_BYTES_MAX;
            hits.add(if whole { Detector::Address } else { Detector::AddressInText });
            return;
        }
        place = end;
    }
}

fn digits(text: &[u8], start: usize) -> usize {
    text.get(start..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// One to five words that begin with a capital or a digit, the last of them a kind of street.
fn is_street(after: &[u8]) -> bool {
    let mut named = false;
    for token in after.split(|byte| *byte == b' ').filter(|token| !token.is_empty()).take(WORDS_MAX + 1) {
        let bare = token.strip_suffix(b".").unwrap_or(token);
        let length =
            bare.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'\'' || **byte == b'-').count();
        let (bare, rest) = bare.split_at_checked(length).unwrap_or((bare, &[]));
        let begins = bare.first().is_some_and(|first| first.is_ascii_uppercase() || first.is_ascii_digit());
        if !begins {
            return false;
        }
        if named && KINDS.iter().any(|kind| bare.eq_ignore_ascii_case(kind.as_bytes())) {
            return true;
        }
        if !rest.is_empty() {
            return false;
        }
        // `12 N Main St`: a direction is no name yet.
        named |= !matches!(bare, b"N" | b"S" | b"E" | b"W" | b"NE" | b"NW" | b"SE" | b"SW");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (bool, bool) {
        let mut hits = Detectors::none();
        look(text.as_bytes(), &mut hits);
        (hits.has(Detector::Address), hits.has(Detector::AddressInText))
    }

    #[test]
    fn addresses_are_whole_values_or_parts_of_text() {
        for text in [
            "123 Main St",
            "1200 N DUKE STREET APT 4",
            "42 Cross St  Boston  MA  02113",
            "7 Martin Luther King Jr. Blvd.",
            "15 5th Ave",
        ] {
            assert_eq!(found(text), (true, false), "{text}");
        }
        for text in ["she lives at 123 Main St, second floor", "(123 Main St)", "from 9 Oak Ridge Road to here"] {
            assert_eq!(found(text), (false, true), "{text}");
        }
    }

    #[test]
    fn other_numbers_before_words_are_not() {
        for text in [
            "2 ways to pay",
            "in 5 different ways",
            "12 Main",
            "Main St 12",
            "500 people on Main St",
            "5 St",
            "3 potholes on Oak St",
            "A12 Main St",
            "12.5 Main St",
            "12 N St",
        ] {
            assert_eq!(found(text), (false, false), "{text}");
        }
    }
}
