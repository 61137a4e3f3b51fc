//! What no problem may say: the list that the tests of the whole server keep in `tests/denied.txt`.

use std::sync::LazyLock;

use regex::Regex;

static DENIED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let lines = include_str!("../../../../tests/denied.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| Regex::new(line).unwrap()).collect()
});

/// Fails the test when a problem says what it must not.
pub(crate) fn check(text: &str) {
    for denied in DENIED.iter() {
        assert!(!denied.is_match(text), "a problem says what {denied} denies: {text}");
    }
}
