//! File names and links in headers, and the last segment of a download's path.

use portico_model::format::FileKind;
use portico_model::name::{DatasetName, VersionNumber};
use url::form_urlencoded;

/// Content-Disposition (RFC 6266): a name that every client can write to a disk, and the true one beside it
/// (RFC 8187) where that differs.
pub(crate) fn disposition(inline: bool, file_name: &str) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let safe: String = file_name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let safe = safe.trim_start_matches('.');
    if safe == file_name {
        return format!("{kind}; filename=\"{safe}\"");
    }
    let encoded: String = file_name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\') && !is_direction_override(*c))
        .map(|c| if plain(c) { c.to_string() } else { percent(c) })
        .collect();
    format!("{kind}; filename=\"{safe}\"; filename*=UTF-8''{encoded}")
}

/// Characters that make `gpj.exe` look like `exe.jpg`.
fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn percent(c: char) -> String {
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// `building-permits.csv.gz` as a name and a kind; `None` when either is not one.
pub(crate) fn split_file(segment: &str) -> Option<(DatasetName, FileKind)> {
    let (name, extension) = segment.split_once('.')?;
    Some((DatasetName::parse(name).ok()?, FileKind::from_extension(extension)?))
}

/// `3.csv.gz` as a version and a kind.
pub(crate) fn split_version(segment: &str) -> Option<(VersionNumber, FileKind)> {
    let (version, extension) = segment.split_once('.')?;
    Some((version_number(version)?, FileKind::from_extension(extension)?))
}

/// A version's number as URLs write it: no sign, no leading zero, so that each version has one URL.
pub(crate) fn version_number(text: &str) -> Option<VersionNumber> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// The longest address that a header of an answer holds, in bytes: proxies give up on longer headers. A longer question
/// has no link.
pub(crate) const LINK_BYTES_MAX: usize = 4 * 1024;

/// A path with its query string, each value encoded; without a question mark when there are none.
pub(crate) fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The value of a `Link` header: `<url>; rel="…"`.
pub(crate) fn link(url: &str, relation: &str) -> String {
    format!("<{url}>; rel=\"{relation}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_to_write() {
        assert_eq!(disposition(false, "trees-v3.csv.gz"), "attachment; filename=\"trees-v3.csv.gz\"");
        assert_eq!(disposition(true, "a.csv"), "inline; filename=\"a.csv\"");
        let hostile = disposition(false, "a\"\r\nSet-Cookie: x=\u{202e}é/../.csv");
        assert!(hostile.bytes().all(|b| (0x20..0x7f).contains(&b)), "{hostile}");
        assert!(!hostile.contains('\r') && !hostile.contains('/'), "{hostile}");
        assert_eq!(hostile.matches('"').count(), 2, "{hostile}");
        assert!(hostile.ends_with("filename*=UTF-8''a%22Set-Cookie%3A%20x%3D%C3%A9...csv"), "{hostile}");
        assert!(disposition(false, "...hidden").starts_with("attachment; filename=\"hidden\""));
    }

    #[test]
    fn segments_split_at_the_first_dot() {
        let (name, kind) = split_file("building-permits.csv.gz").unwrap();
        assert_eq!((name.as_str(), kind.extension().as_str()), ("building-permits", "csv.gz"));
        for bad in ["trees", "trees.", "trees.exe", "Trees.csv", ".csv", "../x.csv", "trees.csv.", "trees.csv.gz.gz"] {
            assert!(split_file(bad).is_none(), "{bad}");
        }
        assert_eq!(split_version("3.parquet").unwrap().0, 3);
        for bad in ["0.csv", "03.csv", "+3.csv", "-3.csv", "3", "4294967296.csv", "current.csv", ".csv"] {
            assert!(split_version(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(with_query("/x", []), "/x");
        assert_eq!(with_query("/x", [("where", "a > 'é' & b")]), "/x?where=a+%3E+%27%C3%A9%27+%26+b");
        assert_eq!(link("/x?a=1", "cite-as"), "</x?a=1>; rel=\"cite-as\"");
    }
}
