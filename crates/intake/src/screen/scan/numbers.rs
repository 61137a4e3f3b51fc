//! Runs of digits, and what they are by their lengths, what stands between them, and the words before them.

use super::super::detector::{Detector, Detectors};
use super::super::digits::{is_itin, is_phone, is_routing, is_routing_shape, is_ssn};
use super::super::words::{Mark, Said};
use super::super::{iban, internet, words};
use super::{Check, Checked, Found, bare, check_card};
use crate::profile::hash;

/// Digits without anything between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    start: usize,
    end: usize,
}

impl Run {
    fn length(self) -> usize {
        self.end - self.start
    }
}

/// Numbers before and after one among which the bank's may be.
const NEIGHBOURS: usize = 4;

/// Finds the runs of digits of a text.
pub(super) fn split(text: &[u8], runs: &mut Vec<Run>) {
    runs.clear();
    let mut start = None;
    for (place, byte) in text.iter().enumerate() {
        match (byte.is_ascii_digit(), start) {
            (true, None) => start = Some(place),
            (false, Some(first)) => {
                runs.push(Run { start: first, end: place });
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|start| Run { start, end: text.len() }));
}

/// Looks at the runs of digits of a text.
pub(super) fn look(text: &[u8], runs: &[Run], marks: &[Mark], told: Detectors, found: &mut Found) {
    Numbers { text, trimmed: text.trim_ascii().len(), runs, marks, told, found }.look();
}

/// The runs of digits of one text.
struct Numbers<'a> {
    text: &'a [u8],
    /// Bytes of the text without spaces around it.
    trimmed: usize,
    runs: &'a [Run],
    marks: &'a [Mark],
    /// What the column's name tells.
    told: Detectors,
    found: &'a mut Found,
}

/// The digits of a number in groups: at most 19 are of interest.
#[derive(Default)]
struct Digits {
    bytes: [u8; 20],
    length: usize,
}

impl Digits {
    fn push(&mut self, run: &[u8]) {
        for byte in run {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl<'a> Numbers<'a> {
    fn look(&mut self) {
        for index in 0..self.runs.len() {
            let Some(window) = self.runs.get(index..) else { return };
            let Some(first) = window.first().copied() else { return };
            match first.length() {
                1..=3 => self.groups(window, first),
                4 => {
                    self.grouped_card(window, first);
                    self.birth(window, first);
                }
                6..=20 => self.single(first),
                _ => {}
            }
            if first.length() >= 2 {
                self.iban(first);
            }
            if matches!(first.length(), 4..=6) {
                self.pin(first);
            }
            self.dialled(window, first);
        }
    }

    /// Numbers that begin with a group of one to three digits.
    fn groups(&mut self, window: &[Run], first: Run) {
        if let [a, b, c, d, ..] = window
            && [(a, b), (b, c), (c, d)].iter().all(|(left, right)| self.between(**left, **right) == b".")
            && self.opens(a.start)
            && self.closes(d.end)
            && internet::is_public_v4([*a, *b, *c, *d].map(|run| self.slice(run)), self.told.has(Detector::Ip))
        {
            self.hit(Detector::Ip);
        }
        let [a, b, c, ..] = window else { return };
        match (a.length(), b.length(), c.length()) {
            (3, 2, 4) => self.social(*a, *b, *c),
            (3, 3, 4) => self.phone(*a, *b, *c),
            _ => self.birth(window, first),
        }
    }

    fn social(&mut self, a: Run, b: Run, c: Run) {
        let (first, second) = (self.between(a, b), self.between(b, c));
        let dashed = is_dash(first) && is_dash(second);
        let apart = first == second && matches!(first, b" " | b".");
        let told = self.told.has(Detector::Ssn) || self.is_told(a.start, &[Said::Ssn]);
        let stands_alone = self.opens(a.start) && self.closes(c.end);
        if (dashed && (stands_alone || told)) || (apart && stands_alone && told) {
            let digits = self.digits(&[a, b, c]);
            if is_ssn(digits.get()) {
                self.hit(Detector::Ssn);
            } else if is_itin(digits.get()) {
                self.hit(Detector::Itin);
            } else if dashed && !digits.get().starts_with(b"000") && self.is_told(a.start, &[Said::Ssn]) {
                // Somebody calls it one: mistyped, it still tells most of the number.
                self.hit(Detector::Ssn);
            }
        }
    }

    fn phone(&mut self, a: Run, b: Run, c: Run) {
        let (first, second) = (self.between(a, b), self.between(b, c));
        let first_fits = is_dash(first) || matches!(first, b"." | b" " | b") " | b")" | b")-" | b") - " | b"/");
        let second_fits = is_dash(second) || matches!(second, b"." | b" ");
        let loose = first == b" " && second == b" ";
        // A country code or an opening bracket may stand before the area.
        let before = self.before(a.start);
        let starts = before.ends_with(b"(") || before.ends_with(b"+1") || self.opens(a.start) || {
            let code = before.strip_suffix(b"-").or_else(|| before.strip_suffix(b".")).unwrap_or(before);
            code == b"1" || code.ends_with(b" 1") || code.ends_with(b"+1")
        };
        if first_fits
            && second_fits
            && starts
            && (self.closes(c.end) || self.is_extended(c.end))
            && (!loose || self.told.has(Detector::Phone))
        {
            let digits = self.digits(&[a, b, c]);
            if is_phone(digits.get()) {
                self.hit(Detector::Phone);
            }
        }
    }

    /// Whether an extension follows: `x12`.
    fn is_extended(&self, end: usize) -> bool {
        matches!(self.text.get(end..), Some([b'x' | b'X', next, ..]) if next.is_ascii_digit())
    }

    /// A date with words of birth before it.
    fn birth(&mut self, window: &[Run], first: Run) {
        let [a, b, c, ..] = window else { return };
        let separator = self.between(*a, *b);
        let fits = matches!((a.length(), b.length(), c.length()), (1..=2, 1..=2, 2 | 4) | (4, 1..=2, 1..=2));
        if fits
            && separator == self.between(*b, *c)
            && matches!(separator, b"/" | b"-" | b".")
            && self.is_told(first.start, &[Said::Birth])
        {
            self.hit(Detector::Birth);
        }
    }

    /// Cards in groups: 4-4-4-4, 4-4-4-4-3, 4-6-5 and 4-6-4.
    fn grouped_card(&mut self, window: &[Run], first: Run) {
        let lengths: [usize; 5] = std::array::from_fn(|place| window.get(place).map_or(0, |run| run.length()));
        let groups = match lengths {
            [4, 4, 4, 4, 3] => 5,
            [4, 4, 4, 4, _] => 4,
            [4, 6, 4 | 5, ..] => 3,
            _ => return,
        };
        let Some(runs) = window.get(..groups) else { return };
        let separators = || runs.iter().zip(runs.iter().skip(1)).map(|(left, right)| self.between(*left, *right));
        let same = separators().all(is_dash) || separators().all(|separator| separator == b" ");
        let end = runs.last().map_or(first.end, |run| run.end);
        if same && self.opens(first.start) && self.closes(end) {
            let digits = self.digits(runs);
            check_card(digits.get(), true, self.found);
        }
    }

    /// A number in one piece.
    fn single(&mut self, run: Run) {
        let digits = self.slice(run);
        let stands_alone = self.opens(run.start) && self.closes(run.end);
        let in_text = self.trimmed > digits.len();
        if stands_alone && bare(digits, self.told, in_text, self.found) {
            return;
        }
        match digits.len() {
            9 if is_ssn(digits) && (self.is_told(run.start, &[Said::Ssn]) || self.is_told_after(run.end)) => {
                self.hit(Detector::Ssn);
            }
            9 if is_itin(digits) && self.is_told(run.start, &[Said::Ssn]) => self.hit(Detector::Itin),
            9 if self.is_told(run.start, &[Said::Routing]) && is_routing(digits) => self.hit(Detector::Account),
            _ => {}
        }
        if digits.len() <= 17 && self.is_told(run.start, &[Said::Account]) {
            self.hit(Detector::Account);
        }
        if digits.len() <= 17 && stands_alone && self.is_told(run.start, &[Said::AnyAccount]) && self.has_routing(run) {
            self.hit(Detector::Account);
        }
    }

    /// Whether another number of the text is a bank's.
    fn has_routing(&self, but: Run) -> bool {
        let is_bank = |run: &&Run| is_routing_shape(self.slice(**run)) && is_routing(self.slice(**run));
        let here = self.runs.partition_point(|run| run.start < but.start);
        let near = self.runs.iter().skip(here.saturating_sub(NEIGHBOURS)).take(2 * NEIGHBOURS + 1);
        near.filter(|run| run.start != but.start).any(|run| is_bank(&run))
    }

    /// Four to six digits after words of a personal code; after a mere `pin:`, which parcels have too, four.
    fn pin(&mut self, run: Run) {
        let long = self.is_told(run.start, &[Said::Pin]);
        let short = run.length() == 4
            && words::ending(self.marks, run.start.saturating_sub(words::REACH), run.start).any(|mark| {
                let between = self.text.get(mark.end..run.start).unwrap_or_default();
                mark.said == Said::ShortPin && matches!(between, b": " | b":" | b" : " | b"=" | b" = " | b" #" | b"#")
            });
        if (long || short) && self.opens(run.start) && self.closes(run.end) {
            self.hit(Detector::Pin);
        }
    }

    /// A number after `+`, or in groups after words of a telephone.
    fn dialled(&mut self, window: &[Run], first: Run) {
        let plus = self.before(first.start).ends_with(b"+");
        if !plus && !self.is_told(first.start, &[Said::Phone]) {
            return;
        }
        let (mut groups, mut total, mut end) = (1, first.length(), first.end);
        for (left, right) in window.iter().zip(window.iter().skip(1)) {
            let between = self.between(*left, *right);
            let joins = is_dash(between) || matches!(between, b" " | b"." | b") " | b")" | b")-" | b"/" | b" (");
            if !joins || total + right.length() > 15 {
                break;
            }
            groups += 1;
            total += right.length();
            end = right.end;
        }
        let lengths: [usize; 3] = std::array::from_fn(|place| window.get(place).map_or(0, |run| run.length()));
        let is_date = groups == 3 && matches!(lengths, [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4 | 2]) && total <= 8;
        let single = groups == 1 && matches!(total, 10 | 11) && !self.slice(first).starts_with(b"0");
        let fits = if plus { (8..=15).contains(&total) } else { single || (groups >= 2 && (7..=13).contains(&total)) };
        let is_date = is_date && self.between(first, window.get(1).copied().unwrap_or(first)) != b" ";
        if fits && !is_date && self.closes(end) {
            self.hit(Detector::Phone);
        }
    }

    /// Two letters right before two digits may begin an IBAN.
    fn iban(&mut self, run: Run) {
        let Some(start) = run.start.checked_sub(2) else { return };
        let letters =
            self.text.get(start..run.start).is_some_and(|letters| letters.iter().all(u8::is_ascii_alphabetic));
        let opens = !self.before(start).last().is_some_and(u8::is_ascii_alphanumeric);
        if letters
            && opens
            && let Some(number) = self.text.get(start..).and_then(iban::shape)
        {
            let (hash, is_valid) = (hash::of_bytes(&number, 0), iban::is_valid(&number));
            self.found.checked.push(Check { what: Checked::Iban, hash, is_valid, is_marked: true });
        }
    }

    fn hit(&mut self, detector: Detector) {
        self.found.hits.add(detector);
    }

    fn digits(&self, runs: &[Run]) -> Digits {
        let mut digits = Digits::default();
        runs.iter().for_each(|run| digits.push(self.slice(*run)));
        digits
    }

    fn slice(&self, run: Run) -> &'a [u8] {
        self.text.get(run.start..run.end).unwrap_or_default()
    }

    fn between(&self, left: Run, right: Run) -> &'a [u8] {
        self.text.get(left.end..right.start).unwrap_or_default()
    }

    fn before(&self, start: usize) -> &'a [u8] {
        self.text.get(..start).unwrap_or_default()
    }

    /// Whether nothing before makes the number a part of something longer, such as `R-123-45-6789` or `12.345`.
    fn opens(&self, start: usize) -> bool {
        match self.before(start) {
            [.., left, b'-' | b'.' | b'_'] => !left.is_ascii_alphanumeric(),
            [.., left, b'/' | b':'] => !left.is_ascii_digit(),
            [.., last] => !last.is_ascii_alphanumeric() && *last != b'_',
            [] => true,
        }
    }

    /// Whether nothing after makes the number a part of something longer.
    fn closes(&self, end: usize) -> bool {
        match self.text.get(end..).unwrap_or_default() {
            [b'-' | b'/' | b'_', right, ..] => !right.is_ascii_alphanumeric(),
            [b'.' | b':' | b',', right, ..] => !right.is_ascii_digit(),
            [next, ..] => !next.is_ascii_alphanumeric() && *next != b'_',
            [] => true,
        }
    }

    /// Whether words of Social Security tell what stood before them.
    fn is_told_after(&self, end: usize) -> bool {
        let near = words::ending(self.marks, end, end + words::WORDS_BYTES);
        let ssn = near.filter(|mark| mark.said == Said::Ssn);
        ssn.filter_map(|mark| words::told_before(self.text, mark)).any(|before| before.len() == end)
    }

    /// Whether words that say so stand shortly before.
    fn is_told(&self, start: usize, said: &[Said]) -> bool {
        words::told(self.text, self.marks, start, said)
    }
}

/// A dash of any make, with or without spaces around it.
fn is_dash(separator: &[u8]) -> bool {
    matches!(separator, b"-" | b" - " | b"\xe2\x80\x90" | b"\xe2\x80\x91" | b"\xe2\x80\x93")
}
