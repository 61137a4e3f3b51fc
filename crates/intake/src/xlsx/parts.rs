//! What a workbook's parts hold beside the cells: how large they are when unpacked, and what of them a person does not
//! see. Read before the workbook is, part by part, in bounded memory.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};

use portico_model::limits::IntakeLimits;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::damaged;
use crate::cell::{Tally, narrow, wide};
use crate::error::IntakeError;
use crate::unpack::archive;

/// Elements within elements in one part: readers keep the names of all that are open.
const DEPTH_MAX: u32 = 64;

/// Merged cells of a sheet that are noted: to say that there are some, a part of them does.
const MERGED_MAX: usize = 65_536;

/// What lies outside of the sheets' visible cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) comments: u64,
    pub(super) pivot_caches: u64,
    pub(super) external_links: u64,
    /// Names that people gave to cells and formulas; the built-in ones, such as print areas, are not counted.
    pub(super) defined_names: u64,
    /// Whether the package names a workbook other than the one that is looked at here.
    elsewhere: bool,
    /// Whether a sheet's name or a part's has two meanings: the workbook's reader may take the other one.
    ambiguous: bool,
    sheets: HashMap<String, String>,
    targets: HashMap<String, String>,
    /// Parts that are worksheets and have been looked at.
    worksheets: HashSet<String>,
    hidden: HashMap<String, Hidden>,
}

/// What one sheet does not show, or shows without saying what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hidden {
    /// Cells with a formula and no result, by their rows' numbers in the sheet.
    pub(super) unknown: Tally,
    /// Rows with cells, by their numbers in the sheet, from 1.
    pub(super) rows: Tally,
    /// Columns, from 0, first and last.
    pub(super) columns: Vec<(usize, usize)>,
    /// The last rows of merged cells, as numbers in the sheet: all values but the first are empty.
    pub(super) merged: Vec<u64>,
}

impl Hidden {
    /// Whether a column is hidden.
    pub(super) fn holds(&self, column: usize) -> bool {
        self.columns.iter().any(|(first, last)| (*first..=*last).contains(&column))
    }
}

impl Parts {
    /// What is hidden in the sheet of this name; `None` for one that has not been looked at.
    pub(super) fn hidden(&self, sheet: &str) -> Option<Hidden> {
        let target = self.sheets.get(sheet).and_then(|id| self.targets.get(id))?;
        let path = match target.strip_prefix('/') {
            Some(path) => path.to_ascii_lowercase(),
            None => format!("xl/{target}").to_ascii_lowercase(),
        };
        self.worksheets.contains(&path).then(|| self.hidden.get(&path).cloned().unwrap_or_default())
    }
}

/// Unpacks every part, since what a zip directory says of sizes is not to be believed, and looks at those that matter.
pub(super) fn inspect(file: File, packed: u64, limits: &IntakeLimits) -> Result<Parts, IntakeError> {
    let mut archive = archive::open(file)?;
    check_size(&mut archive, packed, limits)?;
    let mut parts = Parts::default();
    let mut names = HashSet::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| archive::refusal(&error))?;
        // Its reader does not tell cases apart, nor slashes.
        let name = entry.name().replace('\\', "/").to_ascii_lowercase();
        parts.ambiguous |= !names.insert(name.clone());
        if !is_markup(&name) {
            continue;
        }
        let mut part = Part { from: entry, since_mark: 0, longest: limits.cell_bytes };
        parts.read(&name, &mut part).map_err(|fault| match fault {
            Fault::Entities => damaged("it declares entities of its own, which no workbook needs"),
            Fault::Depth => damaged("the elements of a part are nested more than 64 times"),
            Fault::Other if part.since_mark > limits.cell_bytes => {
                IntakeError::over("a value has more bytes", "cell_bytes", limits.cell_bytes)
            }
            Fault::Other => damaged("a part of it cannot be read"),
        })?;
    }
    if parts.elsewhere {
        return Err(damaged("its workbook is not where workbooks are"));
    }
    if parts.ambiguous {
        return Err(damaged("two of its sheets or parts have the same name"));
    }
    Ok(parts)
}

/// Unpacks everything into nothing: that is quick, and reading it is not.
fn check_size(archive: &mut archive::Archive, packed: u64, limits: &IntakeLimits) -> Result<(), IntakeError> {
    let by_ratio = archive::unpacked_max(packed, limits.unpacked_ratio);
    let mut left = limits.workbook_bytes.min(by_ratio);
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| archive::refusal(&error))?;
        let unpacked = std::io::copy(&mut entry.take(left.saturating_add(1)), &mut std::io::sink());
        let unpacked = unpacked.map_err(|_| damaged("a part of it cannot be unpacked"))?;
        left = left.checked_sub(unpacked).ok_or_else(|| {
            if by_ratio < limits.workbook_bytes {
                let maximum = limits.unpacked_ratio;
                IntakeError::over("the workbook unpacks to more times its size", "unpacked_ratio", maximum)
            } else {
                let maximum = limits.workbook_bytes;
                IntakeError::over("the workbook unpacks to more bytes", "workbook_bytes", maximum)
            }
        })?;
    }
    Ok(())
}

fn is_markup(name: &str) -> bool {
    [".xml", ".rels", ".vml"].iter().any(|end| name.ends_with(end))
}

/// Why a part cannot be read.
enum Fault {
    /// A document type: entities would be declared there.
    Entities,
    /// Elements within elements beyond [`DEPTH_MAX`].
    Depth,
    Other,
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(_: E) -> Self {
        Self::Other
    }
}

/// A part while it is unpacked: stops where markup or text goes on for too long, since its reader would hold it whole.
struct Part<R> {
    from: R,
    since_mark: u64,
    longest: u64,
}

impl<R: Read> Read for Part<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(into)?;
        let fresh = into.get(..count).unwrap_or_default();
        let before = memchr::memchr2(b'<', b'>', fresh).unwrap_or(count);
        self.since_mark = self.since_mark.saturating_add(wide(before));
        if self.since_mark > self.longest {
            return Err(std::io::Error::other("a text is too long"));
        }
        if let Some(last) = memchr::memrchr2(b'<', b'>', fresh) {
            self.since_mark = wide(count - last);
        }
        Ok(count)
    }
}

impl Parts {
    fn read<R: Read>(&mut self, name: &str, part: &mut Part<R>) -> Result<(), Fault> {
        let mut xml = Reader::from_reader(BufReader::new(part));
        xml.config_mut().check_end_names = false;
        let mut buffer = Vec::new();
        let (mut root, mut sheet) = (true, false);
        let mut hidden = Hidden::default();
        // Whether values that come next are in a hidden row that is not counted yet, and the number of the row.
        let (mut hidden_row, mut row) = (false, 0);
        let mut formula = Formula::default();
        let mut depth = 0_u32;
        loop {
            buffer.clear();
            let event = xml.read_event_into(&mut buffer)?;
            match &event {
                Event::Start(_) if depth == DEPTH_MAX => return Err(Fault::Depth),
                Event::Start(_) => depth += 1,
                Event::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            match event {
                Event::DocType(_) => return Err(Fault::Entities),
                Event::Eof => break,
                Event::Text(text) => formula.text(&text),
                Event::CData(_) | Event::GeneralRef(_) => formula.text(b"&"),
                Event::End(tag) if sheet && tag.local_name().as_ref() == b"c" && formula.has_no_result() => {
                    hidden.unknown.add(row);
                }
                Event::Start(tag) | Event::Empty(tag) => match formula.meet(sheet, &tag) {
                    first if std::mem::take(&mut root) => {
                        sheet = first == b"worksheet";
                        self.note(name, first, &tag);
                    }
                    b"row" if sheet => {
                        row = attribute(&tag, "r").and_then(|text| text.parse().ok()).unwrap_or(row + 1);
                        hidden_row = is_hidden(&tag);
                    }
                    b"v" | b"is" if hidden_row => {
                        hidden.rows.add(row);
                        hidden_row = false;
                    }
                    b"col" if sheet && is_hidden(&tag) => hidden.columns.extend(span(&tag)),
                    b"mergeCell" if sheet && hidden.merged.len() < MERGED_MAX => hidden.merged.extend(last_row(&tag)),
                    other => self.note(name, other, &tag),
                },
                _ => {}
            }
        }
        if sheet {
            self.worksheets.insert(name.to_owned());
        }
        if hidden != Hidden::default() {
            self.hidden.insert(name.to_owned(), hidden);
        }
        Ok(())
    }

    /// Counts what is outside of the sheets, and learns which sheet is in which part.
    fn note(&mut self, name: &str, tag: &[u8], start: &BytesStart<'_>) {
        match (name, tag) {
            ("xl/workbook.xml", b"sheet") => {
                self.ambiguous |= has_twice(start, &["name", "id"]);
                if let (Some(sheet), Some(id)) = (attribute(start, "name"), as_written(start, "id")) {
                    self.ambiguous |= self.sheets.insert(sheet, id).is_some();
                }
            }
            ("xl/workbook.xml", b"definedName") => {
                let built_in = attribute(start, "name").is_some_and(|name| name.starts_with("_xlnm."));
                self.defined_names += u64::from(!built_in);
            }
            ("xl/_rels/workbook.xml.rels", b"Relationship") => {
                self.ambiguous |= has_twice(start, &["Id", "Target"]);
                if let (Some(id), Some(target)) = (as_written(start, "Id"), as_written(start, "Target")) {
                    self.ambiguous |= self.targets.insert(id, target).is_some();
                }
            }
            ("_rels/.rels", b"Relationship") => {
                let workbook = attribute(start, "Type").is_some_and(|kind| kind.ends_with("/officeDocument"));
                let target = attribute(start, "Target").unwrap_or_default();
                self.elsewhere |= workbook && !target.trim_start_matches('/').eq_ignore_ascii_case("xl/workbook.xml");
            }
            (_, b"comment" | b"threadedComment") => self.comments += 1,
            (_, b"pivotCacheDefinition") => self.pivot_caches += 1,
            (_, b"externalLink") => self.external_links += 1,
            _ => {}
        }
    }
}

/// What a cell has been seen to hold.
#[derive(Default)]
struct Formula {
    formula: bool,
    result: bool,
    within_value: bool,
    /// The result is text, of which none may be the result.
    text: bool,
}

impl Formula {
    /// Goes to the next tag, and says its name.
    fn meet<'a>(&mut self, sheet: bool, tag: &'a BytesStart<'_>) -> &'a [u8] {
        let name = tag.local_name().into_inner();
        self.within_value = false;
        match name {
            b"c" if sheet => *self = Self { text: attribute(tag, "t").as_deref() == Some("str"), ..Self::default() },
            b"f" => self.formula = true,
            b"v" => {
                self.within_value = true;
                self.result |= self.text;
            }
            _ => {}
        }
        name
    }

    fn text(&mut self, text: &[u8]) {
        self.result |= self.within_value && !text.trim_ascii().is_empty();
    }

    /// At the end of the cell.
    fn has_no_result(&self) -> bool {
        self.formula && !self.result
    }
}

/// An attribute by its name without a prefix.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|found| found.key.local_name().as_ref() == name.as_bytes())?;
    Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

/// The same with its entities as they are, which the workbook's reader leaves in references.
fn as_written(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|found| found.key.local_name().as_ref() == name.as_bytes())?;
    Some(String::from_utf8_lossy(&found.value).into_owned())
}

/// Whether a tag has one of the attributes under several prefixes.
fn has_twice(tag: &BytesStart<'_>, names: &[&str]) -> bool {
    let count = |name: &str| {
        let same = |key: &[u8]| key == name.as_bytes();
        tag.attributes().with_checks(false).flatten().filter(|found| same(found.key.local_name().as_ref())).count()
    };
    names.iter().any(|name| count(name) > 1)
}

/// Sizes below this, in points or in characters, show nothing.
const SIZE_MIN: f64 = 1.0;

/// Hidden by its mark, or by having next to no size.
fn is_hidden(tag: &BytesStart<'_>) -> bool {
    let marked = attribute(tag, "hidden").is_some_and(|text| matches!(text.trim(), "1" | "true"));
    let small = |text: String| text.trim().parse::<f64>().is_ok_and(|size| size < SIZE_MIN);
    marked || ["width", "ht"].iter().any(|name| attribute(tag, name).is_some_and(small))
}

fn span(tag: &BytesStart<'_>) -> Option<(usize, usize)> {
    let number = |name| attribute(tag, name).and_then(|text| text.parse::<u64>().ok()).map(narrow);
    Some((number("min")?.checked_sub(1)?, number("max")?.checked_sub(1)?))
}

/// The last row of a reference such as `A1:B7`.
fn last_row(tag: &BytesStart<'_>) -> Option<u64> {
    let range = attribute(tag, "ref")?;
    range.rsplit(':').next()?.trim_start_matches(|found: char| !found.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Parts, Fault> {
        let mut parts = Parts::default();
        parts.read(name, &mut Part { from: text.as_bytes(), since_mark: 0, longest: 64 })?;
        Ok(parts)
    }

    #[test]
    fn hidden_rows_and_columns_are_found_in_the_sheet_that_has_them() {
        let sheet = "<x:worksheet><x:cols><x:col min='2' max='3' hidden='1'/><x:col min='4' max='4' width='0.5'/>\
            <x:col min='5' max='5' width='9'/></x:cols><x:sheetData><x:row r='1'><x:c><x:v>1</x:v></x:c></x:row>\
            <x:row r='2' hidden='true'><x:c><x:v>1</x:v></x:c><x:c><x:v>2</x:v></x:c></x:row>\
            <x:row r='9' hidden='1'><x:c/></x:row><x:row ht='0.75'><x:c><x:is/></x:c></x:row>\
            </x:sheetData></x:worksheet>";
        let mut parts = read("xl/worksheets/sheet7.xml", sheet).ok().unwrap();
        assert_eq!(parts.hidden("A & B"), None);
        parts.sheets.insert("A & B".to_owned(), "rId1".to_owned());
        for target in ["worksheets/sheet7.xml", "/xl/worksheets/sheet7.xml"] {
            parts.targets.insert("rId1".to_owned(), target.to_owned());
            let hidden = parts.hidden("A & B").unwrap();
            assert_eq!((hidden.rows.count, hidden.rows.rows.as_slice()), (2, &[2, 10][..]));
            assert_eq!(hidden.columns, [(1, 2), (3, 3)]);
        }
    }

    #[test]
    fn formulas_without_a_result_are_found() {
        let sheet = "<worksheet><sheetData><row r='2'><c><f>A1*10</f><v/></c><c/><c><v>1</v></c></row>\
            <row r='3'><c><f>A1</f></c><c t='str'><f>\"\"</f><v></v></c><c><f>A2</f> <v>7</v></c></row>\
            <row r='4'><c t='str'><f>A1</f><v>&lt;</v></c><c t='e'><f>1/0</f><v>#DIV/0!</v></c><c><v/></c></row>\
            </sheetData></worksheet>";
        let parts = read("xl/worksheets/sheet1.xml", sheet).ok().unwrap();
        let hidden = parts.hidden.get("xl/worksheets/sheet1.xml").unwrap();
        assert_eq!((hidden.unknown.count, hidden.unknown.rows.as_slice()), (2, &[2, 3][..]));
    }

    #[test]
    fn built_in_names_are_not_counted() {
        let text = "<workbook><sheets><sheet name='A &amp; B' r:id='rId1'/></sheets><definedNames>\
            <definedName name='_xlnm.Print_Area'>x</definedName><definedName name='Salaries'>x</definedName>\
            </definedNames></workbook>";
        let parts = read("xl/workbook.xml", text).ok().unwrap();
        assert_eq!(parts.defined_names, 1);
        assert_eq!(parts.sheets.get("A & B").map(String::as_str), Some("rId1"));
    }

    #[test]
    fn elements_within_elements_stop_the_reading() {
        let nested = |depth: usize| format!("{}{}", "<x>".repeat(depth), "</x>".repeat(depth));
        assert!(read("xl/drawings/drawing1.xml", &nested(64)).is_ok());
        assert!(matches!(read("xl/drawings/drawing1.xml", &nested(65)), Err(Fault::Depth)));
        assert!(read("xl/drawings/drawing1.xml", &format!("<x>{}</x>", "<y/><z></z>".repeat(100))).is_ok());
    }

    #[test]
    fn entities_and_endless_texts_stop_the_reading() {
        let bomb = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aa'>]><x>&a;</x>";
        assert!(matches!(read("xl/sharedStrings.xml", bomb), Err(Fault::Entities)));
        let endless = format!("<x>{}</x>", "a".repeat(100_000));
        assert!(matches!(read("xl/sharedStrings.xml", &endless), Err(Fault::Other)));
    }
}
