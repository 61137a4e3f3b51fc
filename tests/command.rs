//! The command line as a shell sees it: what it says, how it ends, and what it leaves behind.

use std::path::Path;
use std::process::{Command, Output};

fn portico(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portico")).current_dir(directory).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn check(directory: &Path, arguments: &[&str], code: i32, text: &str) {
    let output = portico(directory, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    assert!(said(&output).contains(text), "{arguments:?}: {}", said(&output));
}

const STEWARD: [&str; 2] = ["--steward-email", "steward@city.example"];

#[test]
fn only_findings_end_with_2() {
    let place = tempfile::tempdir().unwrap();
    check(place.path(), &["--help"], 0, "Usage");
    check(place.path(), &["--version"], 0, "portico");
    check(place.path(), &["publish", "x.csv"], 1, "--dataset");
    check(place.path(), &["publish", "x.csv", "--nonsense"], 1, "--nonsense");
    check(place.path(), &["revision", "stage", "x.csv", "--dataset", "x", "--dry-run"], 1, "--dry-run");
    check(place.path(), &[], 1, "Usage");
}

#[test]
fn a_look_at_a_portal_that_is_not_there_makes_none() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("t.csv"), "a\n1\n").unwrap();
    for command in [
        &["query", "select 1"][..],
        &["dataset", "list"],
        &["dataset", "show", "t"],
        &["revision", "list", "t"],
        &["revision", "release", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
        &["sweep"],
    ] {
        check(place.path(), &[command, &["--data", "never"]].concat(), 1, "there is no portal in");
    }
    check(place.path(), &["publish", "t.csv", "--dataset", "t", "--data", "never"], 1, "--steward-email");
    let dry = ["publish", "t.csv", "--dataset", "t", "--data", "never", "--dry-run"];
    check(place.path(), &dry, 0, "needs a steward");
    check(place.path(), &[&dry[..], &STEWARD].concat(), 0, "this would be released");
    assert!(!place.path().join("never").exists());
}

#[test]
fn what_is_said_on_the_command_line_is_checked() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("t.csv"), "Owner Code,n\nx,1\ny,2\n").unwrap();
    std::fs::write(place.path().join("long.csv"), "a,b\n1,2\n3,4,5\n6,7\n").unwrap();
    let publish = |file, more: &[&'static str]| -> Vec<&'static str> {
        [&["publish", file, "--dataset", "t", "--data", "p"], &STEWARD[..], more].concat()
    };
    check(place.path(), &publish("t.csv", &["--drop", "Owner Cod"]), 1, "its columns are Owner Code, n");
    check(place.path(), &publish("t.csv", &["--public", "nope=why"]), 1, "its columns are Owner Code, n");
    check(place.path(), &publish("t.csv", &["--license", "NOPE"]), 1, "SPDX");
    check(place.path(), &publish("t.csv", &["--sheet", "Data"]), 1, "no sheets");
    check(place.path(), &publish("t.csv", &["--steward-email", "nobody"]), 1, "cannot be used multiple times");
    let odd = ["publish", "t.csv", "--dataset", "t", "--data", "p", "--steward-email", "nobody"];
    check(place.path(), &odd, 1, "an e-mail address such as");
    check(place.path(), &publish("long.csv", &[]), 2, "The findings say what to correct");
    check(place.path(), &publish("t.csv", &["--license", "CC0-1.0", "--drop", "Owner Code"]), 0, "released t@1");
    // What the portal knows counts in a dry run, too.
    let dry = ["publish", "t.csv", "--dataset", "t", "--data", "p", "--dry-run"];
    check(place.path(), &dry, 2, "column_returned");
    check(place.path(), &[&dry[..], &["--drop", "owner_code"]].concat(), 0, "this would be released");
    check(place.path(), &["revision", "list", "t", "--data", "p"], 0, "released as t@1");
}
