//! What the repository promises of itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portico_model::problem::ProblemKind;

/// Which crates a crate may use: the drawing in ARCHITECTURE.md.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("intake", &["model"]),
    ("encode", &["model"]),
    ("store", &["model"]),
    ("publish", &["model", "intake", "store", "encode"]),
    ("engine", &["model", "encode"]),
    ("query", &["model", "store", "encode"]),
    ("serve", &["model", "store", "publish", "query", "encode"]),
];

/// Dependencies that one crate alone may have.
const HOMES: &[(&str, &str)] = &[
    ("datafusion", "engine"),
    ("axum", "serve"),
    ("sqlx", "store"),
    ("deltalake-core", "store"),
    ("sqlparser", "query"),
];

/// Files may have 500 lines; these have a reason to be longer.
const LONG_FILES: &[(&str, &str)] = &[];

/// What is never left in the code: promises of later work, and types named after nothing. Names that other crates
/// gave (`DiskManagerBuilder`) and data (`City Manager`) are not ours to change, so types are matched where they end.
const BANNED: &[&str] = &[
    "TODO",
    "FIXME",
    "XXX",
    "unimplemented!",
    "Manager {",
    "Manager;",
    "Manager(",
    "Manager<",
    "Helper {",
    "Helper;",
    "Helper(",
    "Helper<",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(krate: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join("crates").join(krate).join("Cargo.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

fn dependencies(krate: &str) -> BTreeSet<String> {
    manifest(krate)["dependencies"].as_table().unwrap().keys().cloned().collect()
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join("crates"), root().join("tests")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn crates_use_only_what_the_drawing_shows() {
    for (krate, allowed) in EDGES {
        let used: BTreeSet<String> = dependencies(krate)
            .into_iter()
            .filter_map(|dependency| dependency.strip_prefix("portico-").map(str::to_owned))
            .collect();
        let allowed: BTreeSet<String> = allowed.iter().map(|&edge| edge.to_owned()).collect();
        assert!(used.is_subset(&allowed), "{krate} uses {used:?}, the drawing allows {allowed:?}");
    }
}

#[test]
fn heavy_dependencies_stay_at_home() {
    for (dependency, home) in HOMES {
        for (krate, _) in EDGES {
            assert!(krate == home || !dependencies(krate).contains(*dependency), "{krate} links {dependency}");
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for (krate, _) in EDGES {
        assert_eq!(manifest(krate)["lints"]["workspace"].as_bool(), Some(true), "{krate}");
    }
}

#[test]
fn files_have_one_subject() {
    for path in sources() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        let name = name(&path);
        let excused = LONG_FILES.iter().any(|(file, _)| *file == name);
        assert!(lines <= 500 || excused, "{name} has {lines} lines");
        assert!(!name.ends_with("/mod.rs"), "{name}: modules are `foo.rs` and `foo/`");
    }
}

#[test]
fn no_banned_word_is_in_the_code() {
    for path in sources().iter().filter(|path| !path.ends_with("tests/tidy.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        for word in BANNED {
            assert!(!text.contains(word), "{} says {word}", name(path));
        }
    }
}

#[test]
fn every_problem_is_documented() {
    let docs = std::fs::read_to_string(root().join("docs/problems.md")).unwrap();
    for kind in ProblemKind::ALL {
        assert!(docs.contains(&format!("## {}\n", kind.code())), "docs/problems.md has no section {}", kind.code());
    }
}

#[test]
fn every_limit_is_documented() {
    let docs = std::fs::read_to_string(root().join("portico.example.toml")).unwrap();
    let limits = toml::Table::try_from(portico_model::limits::Limits::default()).unwrap();
    for (group, table) in limits {
        for key in table.as_table().unwrap().keys() {
            assert!(docs.contains(&format!("\n{key} = ")), "portico.example.toml lacks limits.{group}.{key}");
        }
    }
}

#[test]
fn screening_rules_are_documented() {
    let docs = std::fs::read_to_string(root().join("docs/findings.md")).unwrap();
    for rule in portico_intake::screen::RuleSet::default().rules() {
        assert!(docs.contains(&format!("`{}`", rule.id)), "docs/findings.md lacks {}", rule.id);
    }
}

/// All names of tests in Rust and Python.
fn tests_by_name() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let declared = regex::Regex::new(r"(?m)^\s*(?:async )?(?:fn|def) ([a-z0-9_]+)\(").unwrap();
    let clients = std::fs::read_dir(root().join("tests/clients")).unwrap().map(|entry| entry.unwrap().path());
    for path in sources().into_iter().chain(clients.filter(|path| path.extension().is_some_and(|kind| kind == "py"))) {
        let text = std::fs::read_to_string(path).unwrap();
        names.extend(declared.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    names
}

#[test]
fn every_requirement_names_the_tests_that_show_it() {
    let docs = std::fs::read_to_string(root().join("docs/policy.md")).unwrap();
    let known = tests_by_name();
    let row = |number: usize| docs.lines().find(|line| line.starts_with(&format!("| S{number} |")));
    for number in 1..=18 {
        let cells: Vec<&str> =
            row(number).unwrap_or_else(|| panic!("docs/policy.md lacks S{number}")).split('|').collect();
        assert_eq!(cells.len(), 7, "S{number}");
        let named: Vec<&str> = cells[5].split('`').skip(1).step_by(2).collect();
        let unknown: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "S{number} names {unknown:?}, which are no tests");
        assert!(!named.is_empty() || cells[3].contains("not built"), "S{number} is shown by nothing");
    }
    let prose = docs.split("\n## ").skip(1).flat_map(|section| section.split('`').skip(1).step_by(2));
    for name in prose.filter(|name| name.contains('_') && !name.contains(['/', '.'])) {
        assert!(known.contains(name), "docs/policy.md names {name}, which is no test");
    }
}
