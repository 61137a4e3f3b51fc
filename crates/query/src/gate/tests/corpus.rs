use std::path::Path;
use std::process::Command;

use super::*;

/// The `.sql` files of an archive in the corpus, or none without a corpus.
fn queries(archive: &str) -> Vec<(String, String)> {
    #[allow(clippy::disallowed_methods, reason = "tests find the corpus by this variable")]
    let Ok(corpus) = std::env::var("PORTICO_CORPUS") else {
        eprintln!("skipped: PORTICO_CORPUS is not set");
        return Vec::new();
    };
    let folder = tempfile::tempdir().unwrap();
    let archive = Path::new(&corpus).join("sql").join(archive);
    let status = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(status.success());
    let mut found = Vec::new();
    collect(folder.path(), &mut found);
    assert!(!found.is_empty());
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[track_caller]
fn all_pass(archive: &str) {
    for (file, text) in queries(archive) {
        for statement in text.split(';').filter(|statement| !statement.trim().is_empty()) {
            let gated = gate(statement).unwrap_or_else(|problem| panic!("{file}: {problem}\n{statement}"));
            assert!(!gated.tables.is_empty(), "{file}");
            assert_eq!(gate(&gated.pinned_sql).unwrap().sql, gated.sql, "{file}");
        }
    }
}

#[test]
fn the_queries_of_tpch_pass() {
    all_pass("tpch-duckdb-queries-answers-sf0.01.tar.gz");
}

#[test]
fn the_queries_of_clickbench_pass() {
    all_pass("clickbench-queries.tar.gz");
}
