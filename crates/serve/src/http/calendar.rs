//! The release calendar for programs: `GET /api/calendar` as JSON, `GET /calendar.ics` for calendars (RFC 5545).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::DateTime;
use http::HeaderMap;

use crate::catalog::{self, CalendarDocument, CalendarEntry, CalendarKind};
use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply;
use crate::problem::Refusal;
use crate::site::Site;

/// Octets of a line without its end (RFC 5545, 3.1).
const LINE_OCTETS: usize = 75;

/// `GET /api/calendar`.
pub(crate) async fn json(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    reply::json(&headers, &catalog::calendar(&site).await?, CachePolicy::Revalidate)
}

/// `GET /calendar.ics`.
pub(crate) async fn ics(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let text = icalendar(&site.settings.title, &catalog::calendar(&site).await?);
    reply::document(&headers, "text/calendar; charset=utf-8", text, CachePolicy::Revalidate)
}

fn icalendar(title: &str, calendar: &CalendarDocument) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| fold(&mut text, &format!("{name}:{value}"));
    line("BEGIN", "VCALENDAR");
    line("VERSION", "2.0");
    line("PRODID", "-//Portico//Release calendar//EN");
    line("NAME", &escaped(title));
    line("X-WR-CALNAME", &escaped(title));
    for entry in &calendar.entries {
        line("BEGIN", "VEVENT");
        line("UID", &entry.id);
        line("DTSTAMP", &instant(entry.said_ms));
        line("DTSTART", &instant(entry.expected_ms));
        line("SUMMARY", &escaped(&summary(entry)));
        if !entry.department.is_empty() {
            line("CATEGORIES", &escaped(&entry.department));
        }
        if let Some(url) = entry.url.as_ref().filter(|url| url.starts_with("http")) {
            line("URL", url);
        }
        line("TRANSP", "TRANSPARENT");
        line("END", "VEVENT");
    }
    line("END", "VCALENDAR");
    text
}

fn summary(entry: &CalendarEntry) -> String {
    let late = if entry.late { " (late)" } else { "" };
    match entry.kind {
        CalendarKind::Release => format!("{} is released{late}", entry.title),
        CalendarKind::Refresh => format!("{} is expected anew{late}", entry.title),
    }
}

/// A moment in UTC (RFC 5545, 3.3.5).
fn instant(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y%m%dT%H%M%SZ").to_string()
}

/// A text as a value (RFC 5545, 3.3.11): whatever it holds, it ends no line and begins no property.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' | '\r' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Appends a line, in pieces of as many octets as a line may have; no character is cut.
fn fold(text: &mut String, line: &str) {
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > LINE_OCTETS {
            text.push_str("\r\n ");
            octets = 1;
        }
        text.push(c);
        octets += c.len_utf8();
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_ends_no_line_and_begins_no_property() {
        let entry = CalendarEntry {
            id: "1".into(),
            kind: CalendarKind::Release,
            dataset: "trees".into(),
            title: "Trees; a, b\\c\r\nEND:VEVENT\u{7}\nX".into(),
            department: String::new(),
            expected: String::new(),
            late: true,
            url: None,
            expected_ms: 1_700_000_000_000,
            said_ms: 0,
        };
        let text = icalendar("Town", &CalendarDocument { entries: vec![entry] });
        assert!(text.contains("\r\nSUMMARY:Trees\\; a\\, b\\\\c\\nEND:VEVENT \\nX is released (late)\r\n"), "{text}");
        assert!(text.contains("\r\nDTSTART:20231114T221320Z\r\n"));
        assert_eq!(text.matches("\r\nEND:VEVENT\r\n").count(), 1);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    }

    #[test]
    fn long_lines_are_folded_between_characters() {
        let long = format!("SUMMARY:{}", "é".repeat(100));
        let mut text = String::new();
        fold(&mut text, &long);
        for piece in text.split_terminator("\r\n") {
            assert!(piece.len() <= 75, "{piece}");
        }
        assert_eq!(text.replace("\r\n ", ""), format!("{long}\r\n"));
        let mut short = String::new();
        fold(&mut short, &"a".repeat(75));
        assert_eq!(short, format!("{}\r\n", "a".repeat(75)));
    }
}
