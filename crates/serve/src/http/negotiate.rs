//! What a client accepts: `Accept` and `Accept-Encoding` with their weights (RFC 9110 §12).

use http::{HeaderMap, HeaderName, header};
use portico_model::format::Format;
use portico_model::problem::ProblemKind;

use crate::problem::Refusal;

/// Members of one header that are read at most; a longer list is cut there.
const MEMBERS_MAX: usize = 64;

/// The formats that `/sql` offers for each media type, the first being the answer to `*/*`.
const OFFERS: [(&str, Format); 13] = [
    ("application/json", Format::Json),
    ("text/csv", Format::Csv),
    ("application/x-ndjson", Format::Ndjson),
    ("application/ndjson", Format::Ndjson),
    ("application/jsonl", Format::Ndjson),
    ("application/vnd.apache.arrow.stream", Format::Arrow),
    ("application/vnd.apache.parquet", Format::Parquet),
    ("application/x-parquet", Format::Parquet),
    ("text/tab-separated-values", Format::Tsv),
    ("application/geo+json", Format::Geojson),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Format::Xlsx),
    ("text/plain", Format::Table),
    // Browsers list it first; what they can show of ours is JSON.
    ("application/problem+json", Format::Json),
];

/// A weighted list of names; weights in thousandths.
struct Weighted(Vec<(String, u16)>);

impl Weighted {
    fn of(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        let mut members = Vec::new();
        let mut present = false;
        for value in headers.get_all(name) {
            present = true;
            // A header that is not text has no members: nothing in it is accepted.
            let text = value.to_str().unwrap_or_default();
            members.extend(text.split(',').filter_map(member));
        }
        members.truncate(MEMBERS_MAX);
        present.then_some(Self(members))
    }

    fn exact(&self, name: &str) -> Option<u16> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, weight)| *weight)
    }

    /// The weight of a media type: the most specific range that holds it decides.
    fn media(&self, media_type: &str) -> u16 {
        let family = media_type.split('/').next().unwrap_or_default();
        self.exact(media_type).or_else(|| self.exact(&format!("{family}/*"))).or_else(|| self.exact("*/*")).unwrap_or(0)
    }
}

/// One member with its weight; parameters other than `q` are not compared. `None` when it is malformed.
fn member(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut weight = 1000;
    for part in parts {
        let (key, value) = part.split_once('=')?;
        if key.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    Some((name, weight))
}

/// `0`, `1`, `0.5`, `1.000`: at most three decimals, at most one.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// The format that `Accept` prefers; without the header, JSON.
///
/// # Errors
/// `NotAcceptable` when the header allows none of ours.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(accept) = Weighted::of(headers, header::ACCEPT) else { return Ok(Format::Json) };
    let mut best: Option<(u16, Format)> = None;
    for (media_type, format) in OFFERS {
        let weight = accept.media(media_type);
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| {
        Refusal::new(
            ProblemKind::NotAcceptable,
            "None of the media types in Accept is offered. Offered by format= are: json, objects, ndjson, csv, tsv, \
             arrow, parquet, geojson, xlsx, table.",
        )
    })
}

/// Whether a page suits the client better than JSON: browsers name `text/html`, programs do not.
pub(crate) fn prefers_page(headers: &HeaderMap) -> bool {
    let Some(accept) = Weighted::of(headers, header::ACCEPT) else { return false };
    let page = accept.exact("text/html").unwrap_or(0);
    page > 0 && page >= accept.media("application/json").max(accept.media("application/problem+json"))
}

/// A compression of the response on its way (`Content-Encoding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// None.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The name in `Content-Encoding`; none for bytes as they are.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// The coding that `Accept-Encoding` prefers; at equal weight zstd, which is faster on both sides.
pub(crate) fn coding(headers: &HeaderMap) -> Coding {
    let Some(accept) = Weighted::of(headers, header::ACCEPT_ENCODING) else { return Coding::Identity };
    let weight = |name: &str| accept.exact(name).or_else(|| accept.exact("*")).unwrap_or(0);
    let identity = accept.exact("identity").unwrap_or(0);
    let (zstd, gzip) = (weight("zstd"), weight("gzip").max(accept.exact("x-gzip").unwrap_or(0)));
    if zstd > 0 && zstd >= gzip && zstd >= identity {
        Coding::Zstd
    } else if gzip > 0 && gzip >= identity {
        Coding::Gzip
    } else {
        Coding::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_format_follows_the_weights() {
        let check = |accept: &str, expect: Option<Format>| {
            assert_eq!(format(&with(header::ACCEPT, accept)).ok(), expect, "{accept}");
        };
        assert_eq!(format(&HeaderMap::new()).unwrap(), Format::Json);
        check("*/*", Some(Format::Json));
        check("text/csv", Some(Format::Csv));
        check("text/*", Some(Format::Csv));
        check("TEXT/CSV;header=present", Some(Format::Csv));
        check("application/json;q=0.5, text/csv;q=0.9", Some(Format::Csv));
        check("application/json;q=0.9, text/csv; q=0.25", Some(Format::Json));
        check("*/*;q=0.1, application/vnd.apache.arrow.stream", Some(Format::Arrow));
        check("text/csv;q=0, text/*", Some(Format::Tsv));
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Format::Json));
        check("image/png", None);
        check("*/*;q=", None);
        check("*/*;q=2", None);
        check("", None);
        check("*/*;q=0", None);
    }

    #[test]
    fn only_browsers_get_pages() {
        let check = |accept: &str| prefers_page(&with(header::ACCEPT, accept));
        assert!(check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!check("*/*"));
        assert!(!check("application/json, text/html;q=0.5"));
        assert!(!prefers_page(&HeaderMap::new()));
    }

    #[test]
    fn the_coding_follows_the_weights() {
        let check = |accept: &str, expect| {
            assert_eq!(coding(&with(header::ACCEPT_ENCODING, accept)), expect, "{accept}");
        };
        assert_eq!(coding(&HeaderMap::new()), Coding::Identity);
        check("gzip, deflate, br", Coding::Gzip);
        check("gzip, deflate, br, zstd", Coding::Zstd);
        check("gzip;q=1.0, zstd;q=0.5", Coding::Gzip);
        check("identity", Coding::Identity);
        check("identity, gzip;q=0.5", Coding::Identity);
        check("*;q=0", Coding::Identity);
        check("br", Coding::Identity);
    }
}
