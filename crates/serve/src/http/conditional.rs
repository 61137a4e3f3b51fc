//! Conditional requests (RFC 9110 §13): entity tags, dates, `If-Range`, in the order of precedence of §13.2.2.

use chrono::{DateTime, NaiveDateTime};
use http::{HeaderMap, HeaderName, header};
use portico_model::problem::ProblemKind;

use crate::problem::Refusal;

/// Whether a `GET` or `HEAD` is to be answered in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Go on.
    Proceed,
    /// The client has it: `304`.
    NotModified,
}

/// Evaluates the preconditions of a request for something with this strong `etag` (in quotes).
///
/// # Errors
/// `PreconditionFailed` when `If-Match` or `If-Unmodified-Since` names another state.
pub(crate) fn evaluate(headers: &HeaderMap, etag: &str, modified_ms: Option<i64>) -> Result<Condition, Refusal> {
    let failed = || Refusal::new(ProblemKind::PreconditionFailed, "The file is no longer the one you began with.");
    if let Some(matches) = lists(headers, &header::IF_MATCH, |tag| tag == "*" || tag == etag) {
        if !matches {
            return Err(failed());
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &header::IF_UNMODIFIED_SINCE), modified_ms)
        && modified.div_euclid(1000) > since
    {
        return Err(failed());
    }
    let unchanged = match lists(headers, &header::IF_NONE_MATCH, |tag| tag == "*" || weak(tag) == weak(etag)) {
        Some(matches) => matches,
        None => match (date(headers, &header::IF_MODIFIED_SINCE), modified_ms) {
            (Some(since), Some(modified)) => modified.div_euclid(1000) <= since,
            _ => false,
        },
    };
    Ok(if unchanged { Condition::NotModified } else { Condition::Proceed })
}

/// Whether a `Range` applies: without `If-Range`, or when it names exactly this file.
pub(crate) fn range_applies(headers: &HeaderMap, etag: &str, modified_ms: Option<i64>) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else { return true };
    let text = value.to_str().unwrap_or_default().trim();
    if text.starts_with('"') || text.starts_with("W/") {
        // A strong comparison: a weak tag never names bytes.
        return text == etag;
    }
    match (parse_date(text), modified_ms) {
        (Some(date), Some(modified)) => date == modified.div_euclid(1000),
        _ => false,
    }
}

/// A time as the headers write it (IMF-fixdate).
pub(crate) fn http_date(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Whether any tag of a list header satisfies; `None` without the header.
fn lists(headers: &HeaderMap, name: &HeaderName, satisfies: impl Fn(&str) -> bool) -> Option<bool> {
    if !headers.contains_key(name) {
        return None;
    }
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    Some(texts.flat_map(|text| text.split(',')).any(|tag| satisfies(tag.trim())))
}

fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    parse_date(headers.get(name)?.to_str().ok()?.trim())
}

/// The three forms that RFC 9110 §5.6.7 asks recipients to read, as seconds since the epoch.
fn parse_date(text: &str) -> Option<i64> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";
    const MODIFIED_MS: i64 = 784_111_777_500;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn check(pairs: &[(HeaderName, &str)]) -> Option<Condition> {
        evaluate(&headers(pairs), ETAG, Some(MODIFIED_MS)).ok()
    }

    #[test]
    fn dates_are_written_and_read_in_every_form() {
        assert_eq!(http_date(MODIFIED_MS), DATE);
        for form in [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_date(form), Some(784_111_777), "{form}");
        }
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn a_known_tag_is_not_modified() {
        for tag in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(check(&[(header::IF_NONE_MATCH, tag)]), Some(Condition::NotModified), "{tag}");
        }
        for tag in ["\"abcd\"", "abc", "\"x\"", ""] {
            assert_eq!(check(&[(header::IF_NONE_MATCH, tag)]), Some(Condition::Proceed), "{tag}");
        }
    }

    #[test]
    fn a_tag_wins_over_a_date() {
        let both = [(header::IF_NONE_MATCH, "\"old\""), (header::IF_MODIFIED_SINCE, DATE)];
        assert_eq!(check(&both), Some(Condition::Proceed));
        assert_eq!(check(&[(header::IF_MODIFIED_SINCE, DATE)]), Some(Condition::NotModified));
        let earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
        assert_eq!(check(&[(header::IF_MODIFIED_SINCE, earlier)]), Some(Condition::Proceed));
        assert_eq!(check(&[(header::IF_MODIFIED_SINCE, "soon")]), Some(Condition::Proceed));
    }

    #[test]
    fn another_state_fails_the_precondition() {
        assert_eq!(check(&[(header::IF_MATCH, "\"abc\"")]), Some(Condition::Proceed));
        assert_eq!(check(&[(header::IF_MATCH, "*")]), Some(Condition::Proceed));
        assert_eq!(check(&[(header::IF_MATCH, "W/\"abc\"")]), None);
        assert_eq!(check(&[(header::IF_MATCH, "\"old\"")]), None);
        assert_eq!(check(&[(header::IF_UNMODIFIED_SINCE, DATE)]), Some(Condition::Proceed));
        assert_eq!(check(&[(header::IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")]), None);
    }

    #[test]
    fn a_range_applies_to_the_same_bytes_only() {
        let applies = |value: &str| range_applies(&headers(&[(header::IF_RANGE, value)]), ETAG, Some(MODIFIED_MS));
        assert!(range_applies(&HeaderMap::new(), ETAG, None));
        assert!(applies("\"abc\""));
        assert!(applies(DATE));
        for stale in ["\"old\"", "W/\"abc\"", "Sun, 06 Nov 1994 08:49:38 GMT", "abc", ""] {
            assert!(!applies(stale), "{stale}");
        }
    }
}
