//! What no problem may say: paths, hosts, code, the engine's own words. `tests/denied.txt` is the list.

use std::sync::LazyLock;

use regex::Regex;

static DENIED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let lines = include_str!("denied.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Regex::new(line).unwrap()).collect()
});

/// The first thing in a problem's text that has no business there.
pub(crate) fn leak(text: &str) -> Option<String> {
    DENIED.iter().find_map(|denied| denied.find(text)).map(|found| found.as_str().to_owned())
}

/// Fails the test when a problem says what it must not.
pub(crate) fn check(text: &str) {
    if let Some(found) = leak(text) {
        panic!("a problem says {found:?}: {text}");
    }
}

#[test]
fn inner_words_are_found_and_plain_ones_are_not() {
    for bad in [
        "cannot open /var/lib/portico/x",
        "Error performing GET http://127.0.0.1:5555/b1",
        "s3://bucket/prefix",
        "panicked at src/lib.rs:3",
        "DataFusion error: Internal error",
        "expected Utf8View",
        "in FilterExec",
    ] {
        assert!(leak(bad).is_some(), "{bad}");
    }
    for good in ["There is no column x here. Did you mean y?", "See /api/limits.", "GET /sql?q=SELECT", "type int64"] {
        assert_eq!(leak(good), None, "{good}");
    }
}
