//! Files made to hurt: each is refused with a reason or read with a finding, in bounded time, and leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "hostile files are made byte by byte, from small numbers"
)]

use std::path::Path;

use portico_intake::{IntakeError, ReadOptions, Survey, survey};
use portico_model::limits::IntakeLimits;

#[path = "hostile/samples.rs"]
mod samples;

use samples::{Expect, Sample};

/// What a reader's thread has: schemas are trees, and what walks them recurses.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Smaller than the defaults, so that files over them are small too.
fn limits() -> IntakeLimits {
    IntakeLimits {
        cell_bytes: 256 * 1024,
        row_bytes: 4 * 1024 * 1024,
        footer_bytes: 256 * 1024,
        memory_bytes: 32 * 1024 * 1024,
        ..IntakeLimits::default()
    }
}

/// Both passes.
fn read(file: &Path, name: &str, scratch: &Path) -> Result<(Survey, u64), IntakeError> {
    let survey = survey(file, &ReadOptions::named(name), &limits(), scratch, &mut |_| ())?;
    let mut rows = 0;
    for batch in survey.batches()? {
        rows += u64::try_from(batch?.num_rows()).unwrap();
    }
    Ok((survey, rows))
}

/// What is wrong with what came of a sample.
fn fault(sample: &Sample) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let (file, scratch) = (directory.path().join("in"), directory.path().join("scratch"));
    std::fs::write(&file, &sample.bytes).unwrap();
    std::fs::create_dir(&scratch).unwrap();
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || read(&file, sample.file, &scratch)).unwrap().join()
    });
    let Ok(outcome) = outcome else { return Some("panicked".to_owned()) };
    let seen = match &outcome {
        Ok((survey, rows)) => {
            let rules: Vec<&str> = survey.findings.iter().map(|finding| finding.rule.as_str()).collect();
            format!("read: {rows} rows, {rules:?}")
        }
        Err(error) => format!("refused: {error}"),
    };
    let fits = match (sample.expect, &outcome) {
        (Expect::Refused(words), Err(error)) => {
            error.to_string().contains(words) && !matches!(error, IntakeError::Io(_) | IntakeError::Changed)
        }
        (Expect::Finding(rule), Ok((survey, _))) => survey.findings.iter().any(|finding| finding.rule == rule),
        (Expect::Blocked(rule), Ok((survey, _))) => {
            survey.findings.iter().any(|finding| finding.rule == rule && finding.blocks())
        }
        (Expect::Rows(expect), Ok((_, rows))) => *rows == expect,
        _ => false,
    };
    drop(outcome);
    let left = |path: &Path| std::fs::read_dir(path).unwrap().count();
    if left(&scratch) != 0 || left(directory.path()) != 2 {
        return Some(format!("files are left; {seen}"));
    }
    (!fits).then(|| format!("{:?}, but {seen}", sample.expect))
}

#[test]
fn every_hostile_file_is_refused_or_told() {
    let all = samples::all(&limits());
    let faults: Vec<String> =
        all.iter().filter_map(|sample| Some(format!("{}: {}", sample.name, fault(sample)?))).collect();
    assert!(all.len() > 100, "{}", all.len());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn naming_the_sheet_says_that_the_rest_of_the_workbook_is_known() {
    let all = samples::all(&limits());
    let check = |name: &str, rule: &str, blocks: bool| {
        let sample = all.iter().find(|sample| sample.name == name).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("in");
        std::fs::write(&file, &sample.bytes).unwrap();
        let options = ReadOptions { sheet: Some("Sheet1".to_owned()), ..ReadOptions::named("t.xlsx") };
        let survey = survey(&file, &options, &limits(), directory.path(), &mut |_| ()).unwrap();
        let finding = survey.findings.iter().find(|finding| finding.rule == rule).unwrap();
        assert_eq!(finding.blocks(), blocks, "{name}");
    };
    check("xlsx: hidden sheet", "hidden_sheets", false);
    check("xlsx: comments", "workbook_comments", false);
    check("xlsx: hidden row", "hidden_rows", true);
    check("xlsx: hidden column", "hidden_column", true);
}
