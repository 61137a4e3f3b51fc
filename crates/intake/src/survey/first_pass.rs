//! The first pass over text formats.

use std::io::Read;
use std::path::Path;

use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;

use super::columns::{Observed, decide};
use super::{Done, Input, SourceDescription, TextPlan};
use crate::cell::{Rows, wide};
use crate::csv::{CsvPlan, Told};
use crate::detect;
use crate::dictionary::Treatment;
use crate::error::IntakeError;
use crate::infer::number::{Shape, shape};
use crate::infer::temporal::temporal;
use crate::json::{JsonPlan, Place};
use crate::options::ReadOptions;
use crate::text::{self, Charset};
use crate::unpack::Material;
use crate::xlsx;

/// What every step of the first pass needs.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) material: &'a Material,
    pub(super) options: &'a ReadOptions,
    pub(super) limits: &'a IntakeLimits,
}

/// Bytes of a column's name in the file: it is kept in the schema of every version.
const NAME_BYTES_MAX: usize = 4_096;
/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 4_096;

/// Surveys a text file: JSON or delimited.
pub(super) fn text(
    run: &Run<'_>,
    source: &mut SourceDescription,
    progress: &mut dyn FnMut(u64),
) -> Result<Done, IntakeError> {
    if let Some((what, hint)) = detect::foreign_text(&run.material.extension) {
        return Err(IntakeError::Unsupported { what, hint });
    }
    let mut prefix = Vec::with_capacity(detect::PREFIX_BYTES);
    run.material.open()?.take(wide(detect::PREFIX_BYTES)).read_to_end(&mut prefix)?;
    let declared = run.options.encoding.as_deref().map(text::declared).transpose()?;
    let mut charset = declared.unwrap_or_else(|| text::first_guess(&prefix));
    let shown = shown(&prefix, charset);
    if let Some((what, hint)) = detect::markup(&shown) {
        return Err(IntakeError::Unsupported { what, hint });
    }
    if detect::is_binary(&shown) {
        let hint = "bring CSV, TSV, NDJSON, JSON, GeoJSON, XLSX, Parquet or Arrow IPC";
        return Err(IntakeError::Unsupported { what: "a binary file of a kind that is not known", hint });
    }
    let json = looks_like_json(&shown, &run.material.extension);
    loop {
        let result =
            if json { as_json(run, charset, source, progress) } else { as_csv(run, charset, source, progress) };
        match result {
            Err(IntakeError::Encoding { .. }) if declared.is_none() && charset == Charset::Utf8 => {
                charset = text::choose(&mut run.material.open()?)?;
            }
            other => return other,
        }
    }
}

/// The prefix as bytes that are mostly ASCII where the text is.
fn shown(prefix: &[u8], charset: Charset) -> Vec<u8> {
    match charset {
        Charset::Utf16Le => encoding_rs::UTF_16LE.decode_with_bom_removal(prefix).0.into_owned().into_bytes(),
        Charset::Utf16Be => encoding_rs::UTF_16BE.decode_with_bom_removal(prefix).0.into_owned().into_bytes(),
        _ => prefix.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(prefix).to_vec(),
    }
}

fn looks_like_json(text: &[u8], extension: &str) -> bool {
    let mut bytes = text.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != 0x1E);
    let (first, second) = (bytes.next(), bytes.next());
    if matches!(extension, "json" | "ndjson" | "jsonl" | "geojson" | "geojsonl" | "geojsons") {
        return true;
    }
    match first {
        Some(b'{') => matches!(second, Some(b'"' | b'}')),
        Some(b'[') => {
            matches!(second, Some(b'{' | b'[' | b']')) && !matches!(extension, "csv" | "tsv" | "tab" | "psv" | "txt")
        }
        _ => false,
    }
}

fn as_json(
    run: &Run<'_>,
    charset: Charset,
    source: &mut SourceDescription,
    progress: &mut dyn FnMut(u64),
) -> Result<Done, IntakeError> {
    let plan = JsonPlan::find(run.material, charset, run.limits)?;
    let format = match (plan.features, &plan.place) {
        (true, _) => "geojson",
        (false, Place::Sequence) => "ndjson",
        (false, _) => "json",
    };
    source.format = format.to_owned();
    source.encoding = Some(charset.name().to_owned());
    let geometry = plan.features.then_some(0);
    let done = observe(run, TextPlan::Json(Box::new(plan)), geometry, progress)?;
    if done.schema.fields().is_empty() {
        return Err(IntakeError::Empty("its objects have no members"));
    }
    Ok(done)
}

fn as_csv(
    run: &Run<'_>,
    charset: Charset,
    source: &mut SourceDescription,
    progress: &mut dyn FnMut(u64),
) -> Result<Done, IntakeError> {
    let tabs = matches!(run.material.extension.as_str(), "tsv" | "tab");
    let told = Told { delimiter: run.options.delimiter, header: run.options.header, tabs };
    if matches!(told.delimiter, Some(b'"' | b'\r' | b'\n' | 0 | 0x80..)) {
        let reason = "it is a quotation mark, a line end or no ASCII character".to_owned();
        return Err(IntakeError::Option { option: "delimiter", reason });
    }
    let plan = CsvPlan::find(run.material, charset, told, run.limits)?;
    let delimiter = plan.layout.dialect.delimiter;
    source.format = match delimiter {
        Some(b',') => "csv",
        Some(b'\t') => "tsv",
        Some(_) => "delimited",
        None => "lines",
    }
    .to_owned();
    source.delimiter = delimiter.map(char::from);
    source.encoding = Some(charset.name().to_owned());
    source.header = Some(plan.header.is_some());
    source.preamble_rows = plan.layout.preamble;
    let mut findings = Vec::new();
    let first = plan.header.iter().flatten().find(|name| !name.is_empty());
    findings.extend(first.filter(|name| looks_like_data(name)).map(|_| header_looks_like_data()));
    findings.extend(preamble_skipped(plan.layout.preamble));
    let mut done = observe(run, TextPlan::Csv(Box::new(plan)), None, progress)?;
    findings.append(&mut done.findings);
    Ok(Done { findings, ..done })
}

/// Surveys a workbook.
pub(super) fn workbook(
    run: &Run<'_>,
    scratch: &Path,
    source: &mut SourceDescription,
    progress: &mut dyn FnMut(u64),
) -> Result<Done, IntakeError> {
    let sheet = xlsx::sheet(run.material, run.options, run.limits, scratch)?;
    let has_header = run.options.header != Some(false);
    let mut names = vec![String::new(); sheet.width];
    let mut findings = sheet.findings;
    if has_header {
        let mut rows = sheet.spool.rows(Vec::new())?;
        for _ in 0..=sheet.preamble {
            rows.advance()?;
        }
        for (name, cell) in names.iter_mut().zip(rows.row().cells()) {
            *name = String::from_utf8_lossy(cell.bytes).trim().to_owned();
        }
        let first = names.iter().find(|name| !name.is_empty());
        findings.extend(first.filter(|name| looks_like_data(name)).map(|_| header_looks_like_data()));
        findings.extend(preamble_skipped(sheet.preamble));
    }
    source.format = "xlsx".to_owned();
    source.sheet = Some(sheet.name);
    source.header = Some(has_header);
    source.preamble_rows = sheet.preamble;
    let skip = sheet.preamble + u64::from(has_header);
    let mut done = observe(run, TextPlan::Sheet { spool: sheet.spool, names: names.clone(), skip }, None, progress)?;
    findings.append(&mut done.findings);
    let columns = sheet.hidden_columns.iter().filter_map(|index| {
        Some(hidden_column(names.get(*index)?, done.schema.fields().get(*index)?.name(), done.rows, run.options))
    });
    findings.extend(columns.flatten());
    Ok(Done { findings, ..done })
}

/// A hidden column would be released: somebody has to say that it may, or drop it.
fn hidden_column(source: &str, name: &str, rows: u64, options: &ReadOptions) -> Option<Finding> {
    let dictionary = options.dictionary.as_ref();
    let field = dictionary.and_then(|dictionary| dictionary.field(source).or_else(|| dictionary.field(name)));
    let severity = match field.map(|field| &field.treatment) {
        Some(Treatment::Drop { .. }) => return None,
        Some(Treatment::Public { .. }) => Severity::Info,
        _ => Severity::Blocking,
    };
    let message = "the sheet hides this column, but it would be released; drop it, or declare it public with a reason";
    Some(Finding::on_column("hidden_column", severity, name, rows.max(1), Vec::new(), message))
}

/// Reads all rows and decides the types.
fn observe(
    run: &Run<'_>,
    plan: TextPlan,
    geometry: Option<usize>,
    progress: &mut dyn FnMut(u64),
) -> Result<Done, IntakeError> {
    let mut rows = plan.rows(run.material)?;
    let mut observed = Vec::new();
    widen(&mut observed, rows.as_ref(), run.options)?;
    let mut number = 0_u64;
    while rows.advance()? {
        number += 1;
        if rows.row().spans.len() > observed.len() {
            widen(&mut observed, rows.as_ref(), run.options)?;
        }
        for (column, cell) in observed.iter_mut().zip(rows.row().cells()) {
            if !column.nulls.is_null(cell.bytes) {
                column.observe(cell, number);
            }
        }
        if number.is_multiple_of(PROGRESS_ROWS) {
            progress(part_read(run.material, rows.position()));
        }
    }
    let mut findings = rows.findings();
    if number == 0 {
        findings.push(Finding::on_file("no_rows", Severity::Warning, "the file has column names, but no data rows"));
    }
    let names = rows.names();
    let (schema, plans, typing) = decide(observed, &names, run.options, geometry);
    findings.extend(typing);
    Ok(Done { schema, rows: number, findings, input: Input::Text(plan, plans) })
}

fn widen(observed: &mut Vec<Observed>, rows: &dyn Rows, options: &ReadOptions) -> Result<(), IntakeError> {
    let names = rows.names();
    if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        let reason = format!("a column name is longer than {NAME_BYTES_MAX} bytes; is the first row the header?");
        return Err(IntakeError::NotATable(reason));
    }
    let known = observed.len();
    observed.extend(names.iter().skip(known).map(|name| Observed::new(name, options)));
    Ok(())
}

/// Bytes of the file as it came that stand for so many of the unpacked one. Unpacking was the first half.
fn part_read(material: &Material, position: u64) -> u64 {
    if material.packing.is_none() {
        return position.min(material.packed_bytes);
    }
    let half = material.packed_bytes / 2;
    let share = u128::from(half) * u128::from(position) / u128::from(material.bytes.max(1));
    half + u64::try_from(share).unwrap_or(0).min(half)
}

/// Whether a column name is one that nobody gives: a number or a date.
fn looks_like_data(name: &str) -> bool {
    let number = matches!(shape(name.as_bytes()), Shape::Integer { .. } | Shape::Decimal { .. } | Shape::LeadingZero);
    number || temporal(name.as_bytes()).is_some()
}

fn header_looks_like_data() -> Finding {
    let message = "the first column's name is a number or a date: if the file has no header, say so (header = false), \
                   or its first row is lost";
    Finding::on_file("header_looks_like_data", Severity::Warning, message)
}

fn preamble_skipped(rows: u64) -> Option<Finding> {
    let message = "rows before the header, with titles or notes, are passed over";
    let mut finding = Finding::on_file("preamble_skipped", Severity::Warning, message);
    finding.count = rows;
    (rows > 0).then_some(finding)
}
