//! What stands after words that tell it: passwords, names before marriage, licences, plates, records of fingerprints.

use super::detector::{Detector, Detectors};
use super::states;
use super::words::{Mark, Said, told_before};

/// Tokens after the words among which the one that was told may be.
const TOKENS: usize = 5;
/// Bytes after the words that are looked at, so that a text of nothing but such words is looked at in one pass.
const AFTER_MAX: usize = 160;
/// How far after the words it may begin, in bytes.
const REACH: usize = 32;

/// Looks at what stands after each of the marks.
pub(super) fn look(text: &[u8], marks: &[Mark], hits: &mut Detectors) {
    for mark in marks {
        let Some(after) = text.get(mark.end..) else { continue };
        let after = after.get(..AFTER_MAX).unwrap_or(after);
        let found = match mark.said {
            Said::PrivateKey => Some(Detector::Password),
            Said::Signature => Some(Detector::Signature),
            Said::Signed => begins_with_name(after).then_some(Detector::Signature),
            Said::Password => is_password(after).then_some(Detector::Password),
            Said::Maiden => (!is_capital_nee(text, mark) && names_maiden(after)).then_some(Detector::Maiden),
            Said::License => (any_token(after, states::is_license) || last_token(text, mark, states::is_license))
                .then_some(Detector::License),
            Said::Plate => is_plate(after).then_some(Detector::Plate),
            Said::Passport => {
                (any_token(after, is_passport) || last_token(text, mark, is_passport)).then_some(Detector::Passport)
            }
            Said::Biometric => any_token(after, is_record).then_some(Detector::Biometric),
            Said::Birth => is_written_date(after).then_some(Detector::Birth),
            Said::PostBox => {
                after.trim_ascii_start().first().is_some_and(u8::is_ascii_digit).then_some(Detector::AddressInText)
            }
            _ => None,
        };
        if let Some(found) = found {
            hits.add(found);
        }
    }
}

/// Letters, digits and the marks within numbers, piece by piece, as long as nothing but words stands between.
fn tokens(after: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-*'".contains(byte) || !byte.is_ascii();
    let mut place = 0;
    std::iter::from_fn(move || {
        let rest = after.get(place..)?;
        let skipped = rest.iter().take_while(|byte| b" :#.,'()=\n\t\"".contains(byte)).count();
        let start = place + skipped;
        let token = after.get(start..)?;
        let length = token.iter().take_while(|byte| is_inside(byte)).count();
        place = start + length;
        let token = after.get(start..place).unwrap_or_default();
        // What stands in quotation marks goes without them.
        let token = token.strip_suffix(b"'").unwrap_or(token);
        (length > 0 && start <= REACH).then_some((token, place))
    })
    .take(TOKENS)
}

/// Whether one of the next tokens is what was told: the first that has a digit decides.
fn any_token(after: &[u8], is_it: fn(&[u8]) -> bool) -> bool {
    let mut numbers = tokens(after).filter(|(token, _)| token.iter().any(u8::is_ascii_digit));
    numbers.next().is_some_and(|(token, end)| is_it(token) && ends(after, end))
}

/// Whether what stands before the words is what they tell.
fn last_token(text: &[u8], mark: &Mark, is_it: fn(&[u8]) -> bool) -> bool {
    let token = told_before(text, mark).and_then(|before| before.rsplit(|byte| *byte == b' ' || *byte == b':').next());
    token.is_some_and(|token| token.iter().any(u8::is_ascii_digit) && is_it(token))
}

/// Whether a token is not the beginning of something longer, such as an address on the web.
fn ends(after: &[u8], end: usize) -> bool {
    match after.get(end..).unwrap_or_default() {
        [b'/' | b'_' | b'@', ..] => false,
        [b'.' | b',' | b':', next, ..] => !next.is_ascii_digit(),
        _ => true,
    }
}

/// An American passport has nine digits, or a letter and eight; others have one or two letters and six to eight.
fn is_passport(token: &[u8]) -> bool {
    let letters = token.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let digits = token.get(letters..).unwrap_or_default();
    digits.iter().all(u8::is_ascii_digit)
        && letters <= 2
        && (6..=9).contains(&digits.len())
        && letters + digits.len() <= 10
}

fn is_record(token: &[u8]) -> bool {
    let digits = token.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits >= 4 && (5..=20).contains(&token.len())
}

/// Four to eight letters and digits with at least one of each, or letters and digits apart, such as `ABC 1234`.
fn is_plate(after: &[u8]) -> bool {
    let mut before: &[u8] = &[];
    for (token, end) in tokens(after) {
        let digits = token.iter().filter(|byte| byte.is_ascii_digit()).count();
        let letters = token.iter().filter(|byte| byte.is_ascii_uppercase()).count();
        if digits > 0 {
            let alone = letters > 0 && (5..=8).contains(&(digits + letters));
            let apart = letters == 0
                && (2..=5).contains(&digits)
                && (2..=4).contains(&before.len())
                && before.iter().all(u8::is_ascii_uppercase);
            let other = token.len() - digits - letters;
            return (alone || apart) && other <= 1 && ends(after, end);
        }
        before = token;
    }
    false
}

/// `: word`, `= word`, ` is word`, where the word is none of the language.
fn is_password(after: &[u8]) -> bool {
    let after = after.trim_ascii_start();
    let (told, sure) = match after {
        [b':' | b'=', rest @ ..] => (rest, true),
        _ => match [&b"is "[..], b"was ", b"is: ", b"set to "].iter().find_map(|word| after.strip_prefix(*word)) {
            Some(rest) => (rest, false),
            None => return false,
        },
    };
    let told = told.trim_ascii_start();
    let quoted = matches!(told, [b'"' | b'\'' | b'`', ..]);
    let word = told.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    let word = trimmed(word);
    if !(4..=64).contains(&word.len()) || word.starts_with(b"http") {
        return false;
    }
    let digit = word.iter().any(u8::is_ascii_digit);
    let letter = word.iter().any(u8::is_ascii_alphabetic);
    let symbol = word.iter().any(|byte| b"!@#$%^&*+=~?_".contains(byte));
    let mixed = word.iter().skip(1).any(u8::is_ascii_uppercase) && word.iter().any(u8::is_ascii_lowercase);
    (letter && (digit || symbol || mixed))
        || (digit && symbol)
        || (sure && quoted && letter)
        || (sure && digit && !letter)
}

fn trimmed(word: &[u8]) -> &[u8] {
    let is_mark = |byte: &u8| b".,;:)(\"'`".contains(byte);
    let start = word.iter().take_while(|byte| is_mark(byte)).count();
    let word = word.get(start..).unwrap_or_default();
    let end = word.len() - word.iter().rev().take_while(|byte| is_mark(byte)).count();
    word.get(..end).unwrap_or_default()
}

/// `Nee` is somebody's name.
fn is_capital_nee(text: &[u8], mark: &Mark) -> bool {
    text.get(mark.start..mark.end).is_some_and(|word| word.len() <= 4 && word.starts_with(b"N"))
}

/// A capital name, after no more than `is` or a colon.
fn names_maiden(after: &[u8]) -> bool {
    let mut names = tokens(after).map(|(token, _)| token).filter(|token| !matches!(*token, b"is" | b"was" | b"of"));
    names.next().is_some_and(is_capitalised)
}

fn begins_with_name(after: &[u8]) -> bool {
    tokens(after).next().is_some_and(|(token, _)| is_capitalised(token))
}

pub(super) fn is_capitalised(token: &[u8]) -> bool {
    let (Some(first), Some(last)) = (token.first(), token.last()) else { return false };
    first.is_ascii_uppercase() && token.len() >= 2 && (last.is_ascii_lowercase() || !last.is_ascii())
}

/// `February 16, 1942` or `16 Feb 1942`.
fn is_written_date(after: &[u8]) -> bool {
    const MONTHS: &[&[u8]] =
        &[b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let (mut month, mut year) = (false, false);
    for (token, _) in tokens(after) {
        let beginning = token.get(..3).unwrap_or_default();
        month |= token.iter().all(u8::is_ascii_alphabetic)
            && MONTHS.iter().any(|month| beginning.eq_ignore_ascii_case(month));
        year |=
            matches!(token, [b'1', b'8' | b'9', c, d] | [b'2', b'0', c, d] if c.is_ascii_digit() && d.is_ascii_digit());
    }
    month && year
}
