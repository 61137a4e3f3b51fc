//! Finds delimiter, line ends, header and preamble from a good prefix of the text.

use super::split::{Cut, Cutter, Dialect};
use crate::cell::Row;

/// Records that detection looks at.
const RECORDS_MAX: usize = 2_000;
/// Records before the header that may be preamble.
const PREAMBLE_MAX: usize = 50;
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What detection found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) dialect: Dialect,
    /// Records before the header.
    pub(crate) preamble: u64,
}

/// What is known of one of the first rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) fields: usize,
    /// Fields that are not blank.
    pub(crate) filled: usize,
    /// Whether it begins with `#`.
    pub(crate) comment: bool,
}

/// Finds the layout. `delimiter` and `tabs` are what the person or the file name say; with `first_row` the first
/// record is the header whatever it looks like.
pub(crate) fn layout(prefix: &[u8], complete: bool, delimiter: Option<u8>, tabs: bool, first_row: bool) -> Layout {
    let cr_only = ends_in_cr(prefix);
    let of = |delimiter| Dialect { delimiter, cr_only };
    let dialect = match delimiter {
        Some(delimiter) => of(Some(delimiter)),
        None => of(best_delimiter(prefix, complete, cr_only, tabs)),
    };
    let preamble = if first_row { 0 } else { preamble(&samples(prefix, complete, dialect)) };
    Layout { dialect, preamble: crate::cell::wide(preamble) }
}

fn best_delimiter(prefix: &[u8], complete: bool, cr_only: bool, tabs: bool) -> Option<u8> {
    let mut best = None;
    let mut best_score = 0.0;
    for delimiter in CANDIDATES {
        let samples = samples(prefix, complete, Dialect { delimiter: Some(delimiter), cr_only });
        let bonus = if tabs && delimiter == b'\t' { 0.15 } else { 0.0 };
        if let Some(score) = score(&samples).map(|score| score + bonus).filter(|score| *score > best_score) {
            best_score = score;
            best = Some(delimiter);
        }
    }
    best
}

/// How well a delimiter cuts the text: mostly how many records have the most common number of fields, a little how
/// many fields that is, and whether the first record has it too. `None` for one that does not cut it.
fn score(samples: &[Sample]) -> Option<f64> {
    let samples = past_notes(samples);
    let width = common_width(samples);
    let first = samples.first()?.fields;
    if width < 2 {
        return None;
    }
    let same = samples.iter().filter(|sample| sample.fields == width).count();
    let share = ratio(same, samples.len());
    if first < 2 && share < 0.6 {
        return None;
    }
    let breadth = 0.02 * ratio(width.min(20), 1);
    let late = if first == width { 0.0 } else { 0.2 };
    Some((share + breadth - late).max(0.001))
}

/// The records after those at the top that are a comment each.
fn past_notes(samples: &[Sample]) -> &[Sample] {
    let notes = samples.iter().take_while(|sample| sample.comment && sample.fields < 2).count();
    samples.get(notes..).unwrap_or_default()
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(part) / number(whole).max(1.0)
}

/// The most common number of fields; of equally common ones the first record's, then the largest.
fn common_width(samples: &[Sample]) -> usize {
    let first = samples.first().map_or(0, |sample| sample.fields);
    let mut widths = samples.iter().map(|sample| sample.fields).collect::<Vec<_>>();
    widths.sort_unstable();
    let common = widths.chunk_by(PartialEq::eq).filter_map(|same| Some((same.len(), *same.first()?)));
    common.max_by_key(|(count, width)| (*count, *width == first, *width)).map_or(0, |(_, width)| width)
}

/// How many records come before the header: titles and notes fill less than half of the table's width.
pub(crate) fn preamble(samples: &[Sample]) -> usize {
    let width = common_width(past_notes(samples));
    let before = |sample: &Sample| match width {
        0 | 1 => false,
        2 => sample.comment && sample.fields < 2,
        _ => sample.filled * 2 < width || (sample.comment && sample.fields < width),
    };
    let found = samples.iter().take(PREAMBLE_MAX).position(|sample| !before(sample));
    found.unwrap_or(0)
}

fn samples(prefix: &[u8], complete: bool, dialect: Dialect) -> Vec<Sample> {
    let mut cutter = Cutter::new(dialect);
    let mut samples = Vec::new();
    let mut at = 0;
    while samples.len() < RECORDS_MAX {
        match cutter.cut(prefix, at, complete) {
            Cut::Record(next, _) => {
                let row = Row { base: prefix, scratch: &cutter.scratch, spans: &cutter.spans };
                let filled = row.cells().filter(|cell| !cell.bytes.trim_ascii().is_empty()).count();
                let comment = row.cell(0).bytes.starts_with(b"#");
                samples.push(Sample { fields: cutter.spans.len(), filled, comment });
                at = next;
            }
            Cut::Blank(next) => at = next,
            Cut::End | Cut::More(_) | Cut::Crowded => break,
        }
    }
    samples
}

/// Whether lines end in CR alone: there is one outside of quotation marks, and no LF.
fn ends_in_cr(prefix: &[u8]) -> bool {
    let mut quoted = false;
    let (mut carriage, mut feed) = (false, false);
    for byte in prefix {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' if !quoted => carriage = true,
            b'\n' if !quoted => feed = true,
            _ => {}
        }
    }
    let bare_carriage = prefix.contains(&b'\r') && !prefix.contains(&b'\n');
    (carriage && !feed) || bare_carriage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_cuts_evenly() {
        let check = |text: &str, expect: Option<u8>| {
            let found = layout(text.as_bytes(), true, None, false, false);
            assert_eq!(found.dialect.delimiter, expect, "{text:?}");
        };
        check("a,b\n1,2\n", Some(b','));
        check("a;b\n1,5;2,5\n3,5;4,5\n", Some(b';'));
        check("a|b|c\nx, y|2|3\nz, w, v|5|6\n", Some(b'|'));
        check("a\tb\n1\t2\n", Some(b'\t'));
        check("name\nSmith, John\nDoe, Jane\nCher\n", None);
        check("name\nx\ny\n", None);
        check("a,b,c\n1,2\n1,2,3,4\n", Some(b','));
        check("\"a;b\",c\n\"1;2\",3\n", Some(b','));
    }

    #[test]
    fn the_preamble_ends_where_the_full_rows_begin() {
        let check = |text: &str, expect: u64| {
            let found = layout(text.as_bytes(), true, None, false, false);
            assert_eq!(found.preamble, expect, "{text:?}");
        };
        check("a,b,c\n1,2,3\n", 0);
        check("Report of 2020\n\na,b,c\n1,2,3\n4,5,6\n", 1);
        check("Report,,\na,b,c\n1,2,3\n4,5,6\n", 1);
        check("# note\nid;name\n1;x\n", 1);
        check("# note\na,b,c\n1,2,3,4\n1,2,3\n5\n", 1);
        check("a,b,c\n1,,\n2,,\n", 0);
        check("a,b,,\n1,2,3,4\n1,2,3,4\n", 0);
        check("x\ny\n", 0);
    }

    #[test]
    fn line_ends_are_told_apart() {
        let check = |text: &str, expect: bool| assert_eq!(ends_in_cr(text.as_bytes()), expect, "{text:?}");
        check("a,b\r1,2\r", true);
        check("a,b\r\n1,2\r\n", false);
        check("a,b\n\"x\ry\",2\n", false);
        check("a,b\r\"x\ny\",2\r", true);
        check("a\n", false);
    }
}
