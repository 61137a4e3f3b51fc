//! What the built-in rules say of real tables.

use std::path::{Path, PathBuf};

use portico_intake::screen::{RuleSet, Screener};
use portico_intake::{ReadOptions, survey};
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;

/// Lists the findings of every file of the directories; those that block with their reason.
pub(crate) fn list(directories: &[PathBuf]) {
    let mut files: Vec<PathBuf> = directories
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let (mut blocking, mut warning, mut rows) = (0, 0, 0);
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (count, findings) = screened(file, &name);
        rows += count;
        for finding in findings {
            let column = finding.column.as_deref().unwrap_or_default();
            match finding.severity {
                Severity::Blocking => {
                    blocking += 1;
                    println!("BLOCKS {name} · {column}: {} {}", finding.rule, finding.message);
                }
                Severity::Warning => {
                    warning += 1;
                    println!("warns  {name} · {column}: {} ({} values)", finding.rule, finding.count);
                }
                Severity::Info => {}
            }
        }
    }
    println!("{} files, {rows} rows: {blocking} columns block, {warning} warn", files.len());
}

fn screened(file: &Path, name: &str) -> (u64, Vec<Finding>) {
    let scratch = tempfile::tempdir().unwrap();
    let survey =
        survey(file, &ReadOptions::named(name), &IntakeLimits::default(), scratch.path(), &mut |_| {}).unwrap();
    let mut screener = Screener::new(&survey.schema, None, &RuleSet::default());
    let mut row = 1;
    for batch in survey.batches().unwrap() {
        let batch = batch.unwrap();
        screener.push(&batch, row);
        row += u64::try_from(batch.num_rows()).unwrap();
    }
    (survey.rows, screener.finish())
}
