//! A file of any bytes, read as staff's files are: detected, its types decided from all rows, read again as batches.
//! The first byte chooses the name it was uploaded under.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use portico_intake::{ReadOptions, survey};
use portico_model::limits::IntakeLimits;
use tempfile::TempDir;

const NAMES: [&str; 9] =
    ["a.csv", "a.tsv", "a.txt", "a.json", "a.ndjson", "a.geojson", "a.csv.gz", "a.parquet", "a.arrow"];

thread_local! {
    static SCRATCH: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fn limits() -> IntakeLimits {
    IntakeLimits { file_bytes: 1 << 20, unpacked_bytes: 4 << 20, columns: 100, ..IntakeLimits::default() }
}

fn read(name: &str, bytes: &[u8], scratch: &std::path::Path) {
    let file = scratch.join("upload");
    if std::fs::write(&file, bytes).is_err() {
        return;
    }
    let Ok(survey) = survey(&file, &ReadOptions::named(name), &limits(), scratch, &mut |_| ()) else { return };
    let Ok(batches) = survey.batches() else { return };
    let mut rows = 0;
    for batch in batches {
        match batch {
            Ok(batch) => {
                assert_eq!(batch.schema().fields(), survey.schema.fields());
                rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            }
            Err(_) => return,
        }
    }
    assert_eq!(rows, survey.rows, "both passes read the same rows");
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.is_none() {
            *scratch = tempfile::tempdir().ok();
        }
        if let Some(scratch) = scratch {
            read(name, bytes, scratch.path());
        }
    });
});
