//! Workbooks: bombs, entities, and all that a person does not see.

use portico_model::limits::IntakeLimits;
use rust_xlsxwriter::{Format, Note, Workbook, Worksheet};

use super::Expect::{Blocked, Finding, Refused, Rows};
use super::zip_bytes::{Entry, archive, entry};
use super::{Sample, beyond, sample};

pub(super) fn samples(limits: &IntakeLimits) -> Vec<Sample> {
    let mut all = unseen();
    all.extend(twofold());
    all.extend(bombs(limits));
    all
}

/// A workbook of a table with two rows, and whatever else.
fn workbook(change: impl FnOnce(&mut Workbook)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    fill(workbook.add_worksheet());
    change(&mut workbook);
    workbook.save_to_buffer().unwrap()
}

fn fill(sheet: &mut Worksheet) {
    for (row, cells) in (0..).zip([["name", "amount"], ["x", "1"], ["y", "2"]]) {
        for (column, text) in (0..).zip(cells) {
            sheet.write(row, column, text).unwrap();
        }
    }
}

fn first(workbook: &mut Workbook) -> &mut Worksheet {
    workbook.worksheet_from_index(0).unwrap()
}

fn unseen() -> Vec<Sample> {
    let hidden = workbook(|workbook| fill(workbook.add_worksheet().set_hidden(true)));
    let very = workbook(|workbook| fill(workbook.add_worksheet().set_very_hidden(true)));
    let row = workbook(|workbook| {
        let _ = first(workbook).set_row_hidden(1);
    });
    let column = workbook(|workbook| {
        let _ = first(workbook).set_column_hidden(1);
    });
    let narrow = workbook(|workbook| {
        let _ = first(workbook).set_column_width(1, 0);
    });
    let empty = workbook(|workbook| {
        let _ = first(workbook).set_column_hidden(7);
    });
    let comment = workbook(|workbook| {
        let _ = first(workbook).insert_note(1, 1, &Note::new("x")).unwrap();
    });
    let merged = |first_row, last_row| {
        workbook(|workbook| {
            let _ = first(workbook).merge_range(first_row, 0, last_row, 0, "x", &Format::new()).unwrap();
        })
    };
    let named = workbook(|workbook| {
        let _ = workbook.define_name("Salaries", "=Sheet1!$A$1").unwrap();
    });
    let printed = workbook(|workbook| {
        let _ = first(workbook).set_print_area(0, 0, 1, 1).unwrap();
    });
    let pivot = parts(&[(
        "xl/pivotCache/pivotCacheDefinition1.xml",
        "<pivotCacheDefinition><cacheFields/></pivotCacheDefinition>",
    )]);
    let link = parts(&[("xl/externalLinks/externalLink1.xml", "<externalLink><externalBook/></externalLink>")]);
    vec![
        sample("xlsx: hidden sheet", "t.xlsx", hidden, Blocked("hidden_sheets")),
        sample("xlsx: very hidden sheet", "t.xlsx", very, Blocked("hidden_sheets")),
        sample("xlsx: hidden row", "t.xlsx", row, Blocked("hidden_rows")),
        sample("xlsx: hidden column", "t.xlsx", column, Blocked("hidden_column")),
        sample("xlsx: column without width", "t.xlsx", narrow, Blocked("hidden_column")),
        sample("xlsx: hidden column of nothing", "t.xlsx", empty, Rows(2)),
        sample("xlsx: merged cells", "t.xlsx", merged(1, 2), Finding("merged_cells")),
        sample("xlsx: comments", "t.xlsx", comment, Blocked("workbook_comments")),
        sample("xlsx: names", "t.xlsx", named, Blocked("defined_names")),
        sample("xlsx: print area", "t.xlsx", printed, Rows(2)),
        sample("xlsx: pivot cache", "t.xlsx", pivot, Blocked("pivot_caches")),
        sample("xlsx: link to another workbook", "t.xlsx", link, Blocked("external_links")),
    ]
}

const WORKBOOK: &str = "<workbook xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' xmlns:r=\
    'http://schemas.openxmlformats.org/officeDocument/2006/relationships'><sheets><sheet name='S' sheetId='1' r:id='rId1'/>\
    </sheets></workbook>";
const PACKAGE: &str = "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'><Relationship \
    Id='rId1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' \
    Target='xl/workbook.xml'/></Relationships>";
const RELATIONS: &str = "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'><Relationship \
    Id='rId1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet' \
    Target='worksheets/sheet1.xml'/></Relationships>";
const SHEET: &str = "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><sheetData><row r='1'>\
    <c r='A1' t='inlineStr'><is><t>a</t></is></c></row><row r='2'><c r='A2'><v>1</v></c></row></sheetData></worksheet>";

/// A workbook of one small sheet and other parts; a part given here replaces one of the same name.
fn parts(more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        ("_rels/.rels", PACKAGE),
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/worksheets/sheet1.xml", SHEET),
    ];
    let kept = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    archive(&kept.chain(more).map(|(name, text)| entry(name, text.as_bytes())).collect::<Vec<_>>())
}

const HIDDEN: &str = "<row r='2' hidden='1'>";

/// Workbooks in which one reader would look at one sheet for what is hidden, and another read the other.
fn twofold() -> Vec<Sample> {
    let hidden = SHEET.replace("<row r='2'>", HIDDEN);
    let sheet = ("xl/worksheets/sheet1.xml", hidden.as_str());
    let second = WORKBOOK.replace("</sheets>", "<sheet name='S' sheetId='2' r:id='rId2'/></sheets>");
    let relation = "<Relationship Id='rId2' Type='x/worksheet' Target='worksheets/sheet2.xml'/></Relationships>";
    let relations = RELATIONS.replace("</Relationships>", relation);
    let sheets = [("xl/workbook.xml", second.as_str()), ("xl/_rels/workbook.xml.rels", &relations), sheet];
    let elsewhere = |target: &str| RELATIONS.replace("worksheets/sheet1.xml", target);
    let data = elsewhere("worksheets/sheet1.data");
    let moved = elsewhere("worksheets/sheet2.xml");
    let spelt = elsewhere("worksheets/sheet&#49;.xml");
    let other = hidden.replace("worksheet", "sheet");
    let both = WORKBOOK.replace("r:id='rId1'", "x:id='rId2' r:id='rId1'");
    let refused = Refused("have the same name");
    let nowhere = Refused("not where sheets are");
    let unused = workbook(|workbook| {
        let _ = first(workbook).hide_unused_rows(true);
    });
    vec![
        sample(
            "xlsx: backslashes",
            "t.xlsx",
            parts(&[("xl/_rels/workbook.xml.rels", &moved), ("xl\\worksheets\\sheet2.xml", &hidden)]),
            Blocked("hidden_rows"),
        ),
        sample("xlsx: a part in two cases", "t.xlsx", parts(&[sheet, ("xl/Worksheets/sheet1.xml", SHEET)]), refused),
        sample(
            "xlsx: two sheets of a name",
            "t.xlsx",
            parts(&[&sheets[..], &[("xl/worksheets/sheet2.xml", SHEET)]].concat()),
            refused,
        ),
        sample("xlsx: two references of a sheet", "t.xlsx", parts(&[("xl/workbook.xml", &both), sheet]), refused),
        sample(
            "xlsx: a sheet that is no markup",
            "t.xlsx",
            parts(&[("xl/_rels/workbook.xml.rels", &data), ("xl/worksheets/sheet1.data", &hidden)]),
            nowhere,
        ),
        sample("xlsx: a sheet by another root", "t.xlsx", parts(&[("xl/worksheets/sheet1.xml", &other)]), nowhere),
        sample(
            "xlsx: a reference with entities",
            "t.xlsx",
            parts(&[("xl/_rels/workbook.xml.rels", &spelt), ("xl/worksheets/sheet&#49;.xml", &hidden)]),
            Blocked("hidden_rows"),
        ),
        // What has no row of its own is not shown then; what has one is.
        sample("xlsx: unused rows are hidden", "t.xlsx", unused, Rows(2)),
    ]
}

fn bombs(limits: &IntakeLimits) -> Vec<Sample> {
    let strings = |head: &str, text: &str| {
        format!(
            "{head}<sst xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><si><t>{text}</t></si></sst>"
        )
    };
    let laughs = "<!DOCTYPE sst [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]>";
    let outside = "<!DOCTYPE sst [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>";
    let spaces = "<row r='3'/>".repeat(4 * 1024 * 1024);
    let sheet = SHEET.replace("</sheetData>", &format!("{spaces}</sheetData>"));
    let long = "x".repeat(beyond(limits.cell_bytes));
    let shared = |text: &str| parts(&[("xl/sharedStrings.xml", text)]);
    let many: Vec<Entry> = (0..11_000).map(|index| entry(&format!("xl/{index}"), b"")).collect();
    let elsewhere = parts(&[("_rels/.rels", &PACKAGE.replace("xl/", "b/")), ("b/workbook.xml", WORKBOOK)]);
    let far = SHEET.replace("A2", "XFD1048576");
    let spill = SHEET.replace("<c r='A2'><v>1", "<c r='A2' t='e'><v>#SPILL!");
    let deep = SHEET.replace("</worksheet>", &"<x>".repeat(1_000));
    vec![
        sample("xlsx: a workbook elsewhere", "t.xlsx", elsewhere, Refused("not where workbooks are")),
        sample("xlsx: plain", "t.xlsx", parts(&[]), Rows(1)),
        sample("xlsx: entities", "t.xlsx", shared(&strings(laughs, "&b;")), Refused("entities")),
        sample("xlsx: entity from outside", "t.xlsx", shared(&strings(outside, "&a;")), Refused("entities")),
        sample("xlsx: bomb", "t.xlsx", parts(&[("xl/worksheets/sheet1.xml", &sheet)]), Refused("unpacked_ratio")),
        sample(
            "xlsx: bomb in a part that is not read",
            "t.xlsx",
            parts(&[("xl/media/x.bin", &spaces)]),
            Refused("unpacked_ratio"),
        ),
        sample("xlsx: endless text", "t.xlsx", shared(&strings("", &long)), Refused("than the limit")),
        sample("xlsx: endless tag", "t.xlsx", shared(&format!("<{long}")), Refused("than the limit")),
        sample(
            "xlsx: elements within elements after the rows",
            "t.xlsx",
            parts(&[("xl/worksheets/sheet1.xml", &deep)]),
            Refused("nested more than 64 times"),
        ),
        sample(
            "xlsx: an error of newer programs",
            "t.xlsx",
            parts(&[("xl/worksheets/sheet1.xml", &spill)]),
            Refused("#SPILL!"),
        ),
        sample("xlsx: many parts", "t.xlsx", archive(&many), Refused("more than 10000 entries")),
        sample(
            "xlsx: a cell at the far end",
            "t.xlsx",
            parts(&[("xl/worksheets/sheet1.xml", &far)]),
            Refused("columns"),
        ),
        sample("xlsx: no sheet", "t.xlsx", parts(&[("xl/worksheets/sheet1.xml", "")]), Refused("cannot be read")),
        sample("xlsx: no workbook", "t.xlsx", parts(&[("xl/workbook.xml", "<a/>")]), Refused("contradict each other")),
    ]
}
