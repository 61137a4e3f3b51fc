//! Names of people, by short lists of the names that most Americans have.
//!
//! The lists are a compilation of ours of common first names and surnames; they know about four in five first names and
//! two in five surnames. They are for telling a column of names from a column of anything else by the share of its values,
//! not for finding every name.

use std::sync::LazyLock;

use super::secrets::is_capitalised;
use crate::profile::convert::masked;
use crate::profile::hash;

/// Bytes of a value that is a name.
const NAME_BYTES_MAX: usize = 48;
/// Words of a value that is a name.
const WORDS_MAX: usize = 4;

/// Hashes of words, with a table that says no to most others at once.
struct List {
    hashes: Vec<u64>,
    table: Vec<u64>,
}

impl List {
    fn new<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut hashes: Vec<u64> = words.map(|word| hash::of_bytes(word.as_bytes(), 0)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut table = vec![0; 1024];
        for hash in &hashes {
            if let Some(word) = table.get_mut(masked(hash >> 6 & 1023)) {
                *word |= 1_u64 << (hash & 63);
            }
        }
        Self { hashes, table }
    }

    fn has(&self, hash: u64) -> bool {
        let word = self.table.get(masked(hash >> 6 & 1023)).copied().unwrap_or_default();
        word & (1 << (hash & 63)) != 0 && self.hashes.binary_search(&hash).is_ok()
    }
}

static FIRST: LazyLock<List> = LazyLock::new(|| List::new(include_str!("first_names.txt").split_ascii_whitespace()));
static LAST: LazyLock<List> = LazyLock::new(|| List::new(include_str!("last_names.txt").split_ascii_whitespace()));
/// What names of places and businesses are made of, and names of people are not.
static OTHER: LazyLock<List> = LazyLock::new(|| List::new(include_str!("place_words.txt").split_ascii_whitespace()));

/// The hash of a word in lower case, without apostrophes; `None` for what is no word.
fn word(token: &[u8]) -> Option<u64> {
    let mut lower = [0_u8; 24];
    let mut used = 0;
    for byte in token {
        match byte {
            b'\'' => continue,
            byte if byte.is_ascii_alphabetic() || *byte == b'-' || !byte.is_ascii() => {
                *lower.get_mut(used)? = byte.to_ascii_lowercase();
            }
            _ => return None,
        }
        used += 1;
    }
    (used > 0).then(|| hash::of_bytes(lower.get(..used).unwrap_or_default(), 0))
}

/// Whether a whole value is the name of a person: `Mary Jones`, `JONES, MARY A`, `Dr. Mary A. Jones`.
pub(super) fn is_name(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if !(5..=NAME_BYTES_MAX).contains(&value.len()) || !value.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    if let Some(comma) = memchr::memchr(b',', value) {
        let (last, rest) = value.split_at(comma);
        let mut given = words_of(rest.get(1..).unwrap_or_default());
        let mut family = words_of(last);
        let family_fits =
            family.next().is_some_and(|last| last.is_some_and(|last| !OTHER.has(last))) && family.all(is_plain);
        let first = given.next().flatten();
        return family_fits && first.is_some_and(|first| FIRST.has(first)) && given.take(WORDS_MAX).all(is_plain);
    }
    let mut first = None;
    let (mut last, mut count) = (None, 0);
    for token in words_of(value) {
        let Some(token) = token else { return false };
        count += 1;
        if count > WORDS_MAX || OTHER.has(token) {
            return false;
        }
        first = first.or(Some(token));
        last = Some(token);
    }
    count >= 2
        && first.is_some_and(|first| FIRST.has(first))
        && last.is_some_and(|last| LAST.has(last) || count == 2 && !FIRST.has(last))
}

fn is_plain(token: Option<u64>) -> bool {
    token.is_some_and(|token| !OTHER.has(token))
}

fn words_of(text: &[u8]) -> impl Iterator<Item = Option<u64>> {
    let parts = text.split(|byte| byte.is_ascii_whitespace() || *byte == b'.');
    parts.filter(|part| !part.is_empty()).map(word)
}

/// Whether a longer text names a person: a first name, perhaps an initial, and a surname, all capitalised, that do not go
/// on as the name of a place.
pub(super) fn has_name(text: &[u8]) -> bool {
    let mut given = false;
    let mut named = false;
    for token in text.split(|byte| *byte == b' ' || *byte == b'\n') {
        let closes = token.last().is_some_and(|last| !last.is_ascii_alphanumeric());
        let bare = token.strip_suffix(b"'s").unwrap_or(token);
        let end = bare.len() - bare.iter().rev().take_while(|byte| byte.is_ascii_punctuation()).count();
        let bare = bare.get(..end).unwrap_or_default();
        let capital = is_capitalised(bare);
        // A suffix may have its full stop.
        if named
            && matches!(bare, b"Jr" | b"Sr" | b"II" | b"III" | b"IV")
            && matches!(token.last(), Some(last) if *last != b',')
        {
            continue;
        }
        if named {
            if !(capital && word(bare).is_some_and(|word| OTHER.has(word))) {
                return true;
            }
            named = false;
        }
        if given && bare.len() == 1 && bare.iter().all(u8::is_ascii_uppercase) {
            continue;
        }
        let hash = if capital { word(bare) } else { None };
        if given && hash.is_some_and(|hash| LAST.has(hash)) {
            if closes {
                return true;
            }
            named = true;
        }
        given = !closes && hash.is_some_and(|hash| FIRST.has(hash));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_are_names_of_people() {
        for name in [
            "Mary Jones",
            "JONES, MARY A",
            "Mary A. Jones",
            "Szabo, Kevin",
            "kevin o'connor",
            "Maria Szabo",
            "Smith, John Jr.",
        ] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in [
            "Jackson Street",
            "MADISON AVE",
            "Virginia Beach",
            "Charlotte",
            "Grace Baptist Church",
            "St Mary",
            "Mary",
            "Durham, NC",
            "Raleigh, North Carolina",
            "Franklin County",
            "Forest Hills Park",
            "Pothole repair",
            "12 Mary Jones",
            "Jack in the box",
        ] {
            assert!(!is_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn longer_texts_name_people() {
        for text in [
            "Caller Mary Jones asked again",
            "spoke with John Q. Adams, who left",
            "Linda Hall's dog barks",
            "signed by Kevin Brown",
            "Mary Jones",
        ] {
            assert!(has_name(text.as_bytes()), "{text}");
        }
        for text in [
            "meet at Martin Street",
            "the Jordan Lake dam",
            "at John Hill Park today",
            "Main and Henry Streets",
            "mary jones",
            "Grace. Jones is near",
            "Scott Hall Center closed",
            "pothole at Martin Luther King Jr Pkwy",
            "on Martin Luther King Jr. Blvd",
        ] {
            assert!(!has_name(text.as_bytes()), "{text}");
        }
    }
}
