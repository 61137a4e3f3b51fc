//! What the program is made of: where its dependencies come from, under which licences, in how many versions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that let a city run, change and pass on the whole; deny.toml has the same list.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates under another licence, with it: copyleft for its own files alone.
const EXCEPTIONS: [(&str, &str); 1] = [("option-ext", "MPL-2.0")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The packages that are built for this machine.
fn packages() -> Vec<Value> {
    let rustc = output("rustc", &["-vV"]);
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&output(env!("CARGO"), &arguments)).unwrap();
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    let all = metadata["packages"].as_array().unwrap();
    all.iter().filter(|package| used.contains(package["id"].as_str().unwrap())).cloned().collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Whether a licence expression can be kept with the licences of a list: `OR` offers, `AND` demands, `/` is an old
/// spelling of `OR`.
fn allowed(expression: &str, list: &[&str]) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = words.as_slice();
    let answer = any(&mut rest, list);
    assert!(rest.is_empty(), "{expression}");
    answer
}

fn any(words: &mut &[&str], list: &[&str]) -> bool {
    let mut answer = all(words, list);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        let next = all(words, list);
        answer |= next;
    }
    answer
}

fn all(words: &mut &[&str], list: &[&str]) -> bool {
    let mut answer = one(words, list);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        let next = one(words, list);
        answer &= next;
    }
    answer
}

fn one(words: &mut &[&str], list: &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let answer = any(words, list);
            assert_eq!(words.first(), Some(&")"));
            *words = &words[1..];
            answer
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            list.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, rest @ ..] => {
            *words = rest;
            list.contains(licence)
        }
        [] => panic!("a licence is missing"),
    }
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT/GPL-3.0", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("MIT AND (GPL-3.0 OR LGPL-2.1)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(allowed(expression, &LICENCES), expected, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        let excepted = EXCEPTIONS.contains(&(name(&package), licence));
        assert!(excepted || allowed(licence, &LICENCES), "{} is under {licence}", name(&package));
    }
    let rules: toml::Table = toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let list: Vec<&str> = rules["licenses"]["allow"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(list, LICENCES, "deny.toml has another list");
}

#[test]
fn every_dependency_comes_from_one_registry() {
    let mut sources = BTreeSet::new();
    for package in packages() {
        match package["source"].as_str() {
            Some(source) => {
                sources.insert(source.to_owned());
            }
            None => assert!(name(&package).starts_with("portico"), "{} is no crate of ours", name(&package)),
        }
    }
    let [source] = sources.iter().collect::<Vec<_>>()[..] else { panic!("several sources: {sources:?}") };
    assert!(source.starts_with("registry+"), "{source}");
}

#[test]
fn what_moves_together_is_there_once() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let version = package["version"].as_str().unwrap().to_owned();
        versions.entry(name(&package).to_owned()).or_default().insert(version);
    }
    let block = ["arrow", "datafusion", "parquet", "deltalake"];
    let once = ["sqlparser", "object_store", "tonic", "prost", "hyper", "tokio", "axum", "rustls"];
    for (name, versions) in versions {
        let family = name.split('-').next().unwrap();
        assert!(
            versions.len() == 1 || !(block.contains(&family) || once.contains(&name.as_str())),
            "{name} is there in {versions:?}"
        );
    }
}

#[test]
fn our_own_code_has_nothing_unsafe_and_no_open_version() {
    let manifest =
        |path: &str| -> toml::Table { toml::from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap() };
    // Forbidden, not denied: no file can allow it again. tests/tidy.rs sees that every crate takes these lints.
    let root = manifest("Cargo.toml");
    assert_eq!(root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    assert_eq!(root["lints"]["workspace"].as_bool(), Some(true));
    for (name, dependency) in root["workspace"]["dependencies"].as_table().unwrap() {
        let version = dependency.as_str().or_else(|| dependency.get("version")?.as_str());
        assert!(version.map_or(dependency.get("path").is_some(), |version| !version.contains('*')), "{name}");
    }
}
