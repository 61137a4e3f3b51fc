//! Every file of the corpus is read whole, or refused with a reason; and tables have as many rows as other readers find.
//!
//! The corpus is the directory named by `PORTICO_CORPUS`; without it the tests say that they are skipped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what is read and what is refused is the point of the listing")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use portico_intake::{IntakeError, ReadOptions, Survey, survey};
use portico_model::limits::IntakeLimits;

/// Rows of the tables as pyarrow and DuckDB count them, with delimiter, encoding and preamble told.
const TABLE_ROWS: &[(&str, u64)] = &[
    ("boston311_100.csv", 100),
    ("boston311_100_bad.tsv", 100),
    ("boston311_100_dmy.csv", 100),
    ("chicago_burglary_67k.csv", 66_932),
    ("chicago_food_2013_blankheader.csv", 13_641),
    ("chicago_food_inspections_79col_casedup.csv", 18_781),
    ("chicago_salaries_v1.csv", 33_586),
    ("chicago_salaries_v2.csv", 31_133),
    ("chicago_sanitation_complaints_74k.csv", 74_401),
    ("dc_parks.csv", 242),
    ("dc_purchase_orders.csv", 22_664),
    ("durham_establishments_geocode.csv", 1_074),
    ("durham_president_2016_semicolon.csv", 1_505),
    ("durham_restaurant_inspections.csv", 2_466),
    ("durham_restaurants_nested.json", 2_466),
    ("durham_school_attendance_2014.csv", 2_937),
    ("gotriangle_routes_ragged.csv", 131),
    ("gtfs_cairns_routes.txt", 22),
    ("gtfs_cairns_stop_times.txt", 37_790),
    ("gtfs_cairns_stops.txt", 416),
    ("gtfs_cairns_trips.txt", 1_339),
    ("italy_opencoesione_199col_semicolon.csv", 10),
    ("japan_utf8_newlines.csv", 62),
    ("kansas_1033.csv", 1_575),
    ("nc_bicycle_crashes.csv", 5_716),
    ("nc_election_20111108.csv", 37_125),
    ("nc_election_20180508_NULbytes.csv", 49_607),
    ("nc_election_20211102_NULbytes.csv", 18_416),
    ("nc_election_20231010_NULbytes.csv", 4_428),
    ("nc_election_20231107_NULbytes.csv", 32_983),
    ("nc_pedestrian_crashes.csv", 1_001),
    ("nics_2023-10.csv", 16_445),
    ("nics_2016-12-01_fd631ca.csv", 11_935),
    ("nics_2020-04-01_55b315b.csv", 14_135),
    ("nics_2023-01-03_ab5a521.csv", 15_950),
    ("nrc_events_pipe.txt", 72),
    ("nyc311_year_board_counts.csv", 7_798),
    ("nyc_capital_projects.csv", 12_587),
    ("uk_directgov_referrers_CRonly.csv", 39_627),
    ("uk_nhs_inpatients_UTF16LE.csv", 327),
    ("uk_nhs_spend25k_BOM_thousands.csv", 189),
    ("worldbank_gdp_preamble.csv", 264),
    ("durham-bike-lanes.geojson", 2_259),
    ("durham-county.geojson", 1),
    ("durham-food-2013.geojson", 3_728),
    ("durham-parks-areas.geojson", 69),
    ("durham-parks.geojson", 65),
    ("durham-schools.geojson", 47),
    ("durham-trails.geojson", 84),
];

/// Rows of the Parquet test files as pyarrow reads them.
const PARQUET_ROWS: &[(&str, u64)] = &[
    ("alltypes_dictionary.parquet", 2),
    ("alltypes_plain.parquet", 8),
    ("alltypes_tiny_pages.parquet", 7_300),
    ("binary.parquet", 12),
    ("byte_array_decimal.parquet", 24),
    ("byte_stream_split_extended.gzip.parquet", 200),
    ("concatenated_gzip_members.parquet", 513),
    ("datapage_v2.snappy.parquet", 5),
    ("delta_binary_packed.parquet", 200),
    ("delta_byte_array.parquet", 1_000),
    ("float16_nonzeros_and_nans.parquet", 8),
    ("hadoop_lz4_compressed_larger.parquet", 10_000),
    ("int96_from_spark.parquet", 6),
    ("list_columns.parquet", 3),
    ("lz4_raw_compressed_larger.parquet", 10_000),
    ("nested_lists.snappy.parquet", 3),
    ("nested_maps.snappy.parquet", 6),
    ("nested_structs.rust.parquet", 1),
    ("nullable.impala.parquet", 7),
    ("overflow_i16_page_cnt.parquet", 40_000),
    ("rle_boolean_encoding.parquet", 68),
    ("example.parquet", 5),
    ("data-polygon-encoding_wkb.parquet", 4),
];

/// Kinds of file that are refused whatever is in them.
const REFUSED_KINDS: &[&str] = &[
    "bz2",
    "dbf",
    "dot",
    "encrypted",
    "html",
    "md",
    "ods",
    "pdf",
    "rels",
    "sql",
    "vml",
    "xls",
    "xml",
    "xz",
    "yaml",
    "yml",
    "gitignore",
    "bin",
];

/// Files of readable kinds that are refused: several tables, no rows, damage, or more columns than the limit.
const REFUSED: &[&str] = &[
    "examples/empty.csv",
    "data/ckan.package.json",
    "data/detailed-with-schema.package.json",
    "data/detailed.package.json",
    "data/empty.csv",
    "data/geopoint/datapackage.json",
    "data/innerpath.package.zip",
    "data/invalid.json",
    "data/issue-494.package.json",
    "data/issue-869.json",
    "data/package-invalid.zip",
    "data/package.zip",
    "data/package/zenodo.packagepartialmeta.json",
    "data/package/zenodo.packagewithmeta.json",
    "data/resource.zip",
    "data/schema-invalid-empty.json",
    "data/schema-invalid-fk-array-string-ref.json",
    "data/schema-invalid-fk-array-string.json",
    "data/schema-invalid-fk-array-wrong-number.json",
    "data/schema-invalid-fk-array.json",
    "data/schema-invalid-fk-no-reference.json",
    "data/schema-invalid-fk-string-array-ref.json",
    "data/schema-invalid-fk-string.json",
    "data/schema-invalid-multiple-errors.json",
    "data/schema-invalid-wrong-type.json",
    "data/schema-valid-fk-array.json",
    "data/schema-valid-full.json",
    "data/table-multiple-files.zip",
    "data/table-output.json",
    "data/table.json",
    "data/transform.json",
    "data/wide.csv",
    "data/zipped-resources/datapackage.json",
    "data/zipped-resources/ogd10_catalogs.zip",
    "data/datapage_v1-corrupt-checksum.parquet",
    "data/dict-page-offset-zero.parquet",
    "data/large_string_map.brotli.parquet",
    "data/nation.dict-malformed.parquet",
    "data/rle-dict-uncompressed-corrupt-checksum.parquet",
];

fn corpus() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the corpus is")]
    let path = std::env::var("PORTICO_CORPUS").ok();
    if path.is_none() {
        println!("skipped: PORTICO_CORPUS is not set");
    }
    path.map(PathBuf::from)
}

/// Surveys a file and reads it a second time; the rows of both must agree.
fn read(path: &Path, name: &str) -> Result<Survey, IntakeError> {
    let scratch = tempfile::tempdir()?;
    let found = survey(path, &ReadOptions::named(name), &IntakeLimits::default(), scratch.path(), &mut |_| ())?;
    let mut rows = 0;
    for batch in found.batches()? {
        let batch = batch?;
        assert!(batch.num_rows() <= 8_192, "{name}");
        assert_eq!(batch.schema(), found.schema, "{name}");
        rows += u64::try_from(batch.num_rows()).unwrap();
    }
    assert_eq!(rows, found.rows, "{name}");
    for finding in &found.findings {
        let column = finding.column.as_deref();
        assert!(column.is_none_or(|column| found.schema.column_with_name(column).is_some()), "{name}: {finding:?}");
        assert!(finding.count > 0 && !finding.message.is_empty(), "{name}: {finding:?}");
    }
    Ok(found)
}

fn check(path: &Path, name: &str, refused: &mut Vec<String>) {
    match read(path, name) {
        Ok(found) => {
            let mut rules = found.findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>();
            rules.dedup();
            println!("{name}: {} rows, {} columns, {rules:?}", found.rows, found.schema.fields().len());
            let base = name.rsplit('/').next().unwrap().trim_end_matches(".gz");
            let known = TABLE_ROWS.iter().chain(PARQUET_ROWS).find(|(file, _)| *file == base);
            assert!(known.is_none_or(|(_, rows)| *rows == found.rows), "{name}: {} rows", found.rows);
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!matches!(error, IntakeError::Io(_) | IntakeError::Changed), "{name}: {error:?}");
            assert!(!TABLE_ROWS.iter().chain(PARQUET_ROWS).any(|(file, _)| name.ends_with(file)), "{name}: {error}");
            println!("{name}: REFUSED: {error}");
            refused.push(name.to_owned());
        }
    }
}

fn files(directory: &Path, out: &mut Vec<PathBuf>) {
    let mut entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    entries.sort();
    for path in entries {
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

fn check_directory(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    files(directory, &mut all);
    assert!(!all.is_empty());
    let mut refused = Vec::new();
    for path in all {
        check(&path, path.file_name().unwrap().to_str().unwrap(), &mut refused);
    }
    refused
}

/// The files of a tar archive, told by their headers: name, size, kind.
fn untar(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(File::open(archive).unwrap()).read_to_end(&mut bytes).unwrap();
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let (mut found, mut at, mut long_name) = (Vec::new(), 0, None);
    while let Some(header) = bytes.get(at..at + 512).filter(|header| header.iter().any(|byte| *byte != 0)) {
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        let body = &bytes[at + 512..at + 512 + size];
        at += 512 + size.div_ceil(512) * 512;
        match header[156] {
            b'L' => long_name = Some(text(body)),
            b'x' => {
                let record = String::from_utf8_lossy(body).into_owned();
                long_name = record.lines().find_map(|line| Some(line.split_once("path=")?.1.to_owned()));
            }
            b'0' | 0 => found.push((long_name.take().unwrap_or_else(|| text(&header[..100])), body.to_vec())),
            _ => long_name = None,
        }
    }
    found
}

fn check_archive(name: &str) -> Vec<String> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    let mut refused = Vec::new();
    let all = untar(&corpus.join("edge").join(name));
    assert!(!all.is_empty());
    for (name, bytes) in all {
        std::fs::write(&path, bytes).unwrap();
        check(&path, &name, &mut refused);
    }
    refused
}

/// Nothing is refused but what is meant to be.
fn check_refusals(refused: &[String]) {
    for name in refused {
        let (_, path) = name.split_once('/').unwrap();
        let kind = name.rsplit('.').next().unwrap();
        assert!(REFUSED_KINDS.contains(&kind) || REFUSED.contains(&path), "{name} is refused");
    }
}

#[test]
fn every_table_is_read_with_the_rows_that_others_find() {
    let Some(corpus) = corpus() else { return };
    assert_eq!(check_directory(&corpus.join("tables")), Vec::<String>::new());
}

#[test]
fn every_map_is_read() {
    let Some(corpus) = corpus() else { return };
    let refused = check_directory(&corpus.join("geo"));
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn every_file_of_csv_spectrum_is_read() {
    assert_eq!(check_archive("csv-spectrum.tar.gz"), Vec::<String>::new());
}

#[test]
fn every_file_of_csvkit_is_read_or_refused() {
    check_refusals(&check_archive("csvkit-examples.tar.gz"));
}

#[test]
fn every_file_of_frictionless_is_read_or_refused() {
    check_refusals(&check_archive("frictionless-data.tar.gz"));
}

#[test]
fn every_file_of_parquet_testing_is_read_or_refused() {
    check_refusals(&check_archive("parquet-testing-data.tar.gz"));
}
