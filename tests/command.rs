//! The command line as a shell sees it: what it says, how it ends, and what it leaves behind.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

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
const SAID: [&str; 4] = ["--license", "CC0-1.0", "--description", "What the city knows"];

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
    check(place.path(), &["publish", "t.csv", "--dataset", "t", "--data", "never"], 2, "--steward-email");
    let dry = ["publish", "t.csv", "--dataset", "t", "--data", "never", "--dry-run"];
    check(place.path(), &dry, 0, "a steward: steward_email");
    std::fs::write(place.path().join("t.toml"), "[[field]]\nname = \"a\"\ndescription = \"A number\"\n").unwrap();
    let said = [&dry[..], &STEWARD, &SAID].concat();
    check(place.path(), &said, 0, "a dictionary: what a mean");
    check(place.path(), &[&said[..], &["--schema", "t.toml"]].concat(), 0, "this would be released");
    assert!(!place.path().join("never").exists());
}

#[test]
fn what_is_said_on_the_command_line_is_checked() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("t.csv"), "Owner Code,n\nx,1\ny,2\n").unwrap();
    std::fs::write(place.path().join("long.csv"), "a,b\n1,2\n3,4,5\n6,7\n").unwrap();
    let described = "[[field]]\nname = \"Owner Code\"\ndescription = \"Who\"\n[[field]]\nname = \"n\"\ndescription = \"How many\"\n";
    std::fs::write(place.path().join("t.toml"), described).unwrap();
    let publish = |file, more: &[&'static str]| -> Vec<&'static str> {
        let known = ["--schema", "t.toml", "--description", "What the city knows"];
        let license: &[&str] = if more.contains(&"--license") { &[] } else { &["--license", "CC0-1.0"] };
        [&["publish", file, "--dataset", "t", "--data", "p"], &STEWARD[..], &known, license, more].concat()
    };
    check(place.path(), &publish("t.csv", &["--drop", "Owner Cod"]), 1, "its columns are Owner Code, n");
    check(place.path(), &publish("t.csv", &["--public", "nope=why"]), 1, "its columns are Owner Code, n");
    check(place.path(), &publish("t.csv", &["--license", "NOPE"]), 1, "SPDX");
    check(place.path(), &publish("t.csv", &["--sheet", "Data"]), 1, "no sheets");
    check(place.path(), &publish("t.csv", &["--steward-email", "nobody"]), 1, "cannot be used multiple times");
    let odd = ["publish", "t.csv", "--dataset", "t", "--data", "p", "--steward-email", "nobody"];
    check(place.path(), &[&odd[..], &SAID].concat(), 1, "an e-mail address such as");
    check(place.path(), &publish("long.csv", &[]), 2, "The findings say what to correct");
    check(place.path(), &publish("t.csv", &["--license", "CC0-1.0", "--drop", "Owner Code"]), 0, "released t@1");
    // What the portal knows counts in a dry run, too.
    let dry = ["publish", "t.csv", "--dataset", "t", "--data", "p", "--dry-run"];
    check(place.path(), &[&dry[..], &["--schema", "t.toml"]].concat(), 2, "column_returned");
    check(place.path(), &[&dry[..], &["--drop", "owner_code"]].concat(), 0, "this would be released");
    check(place.path(), &["revision", "list", "t", "--data", "p"], 0, "released as t@1");
}

#[test]
fn a_page_is_written_and_given_back_its_text_by_command() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    std::fs::write(directory.join("t.csv"), "a\n1\n").unwrap();
    std::fs::write(directory.join("t.toml"), "[[field]]\nname = \"a\"\ndescription = \"A number\"\n").unwrap();
    let publish = ["publish", "t.csv", "--dataset", "t", "--schema", "t.toml", "--data", "p"];
    check(directory, &[&publish[..], &STEWARD, &SAID].concat(), 0, "released t@1");
    let page = |step: &[&'static str]| [&["page"], step, &["--data", "p"]].concat();
    check(directory, &page(&["show", "terms"]), 0, "terms version 0: Terms of use");
    check(directory, &page(&["show", "nothing"]), 1, "there are principles, terms, licences, handbook");
    std::fs::write(directory.join("one.md"), "As it *is*.\n").unwrap();
    std::fs::write(directory.join("two.md"), "Otherwise.\n").unwrap();
    for _ in 0..2 {
        check(directory, &page(&["set", "terms", "--file", "one.md", "--version", "0"]), 0, "terms has version 1");
    }
    check(directory, &page(&["set", "terms", "--file", "two.md", "--version", "0"]), 1, "version 1 by now");
    check(directory, &page(&["set", "terms", "--file", "two.md"]), 1, "--version");
    check(directory, &page(&["show", "terms"]), 0, "As it *is*.");
    check(directory, &page(&["reset", "terms", "--version", "1"]), 0, "terms has version 2");
    check(directory, &page(&["history", "terms"]), 0, "(the text of a new portal)");
    check(directory, &page(&["show", "terms", "--version", "1"]), 0, "As it *is*.");
    check(directory, &["scrub", "--data", "p"], 0, "");
}

#[test]
fn a_release_that_lacks_something_is_refused_with_the_list() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    std::fs::write(directory.join("t.csv"), "Owner Code,n\nx,1\ny,2\n").unwrap();
    let publish = ["publish", "t.csv", "--dataset", "t", "--data", "p"];
    let said = said(&portico(directory, &publish));
    for part in ["--steward-email", "--license", "--description", "--schema"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!directory.join("p").exists());
    // A draft of the dictionary has the columns, and none of their values.
    let draft = [&publish[..], &["--write-dictionary", "t.toml"]].concat();
    check(directory, &draft, 0, "wrote t.toml");
    check(directory, &draft, 1, "is not overwritten");
    let drafted = std::fs::read_to_string(directory.join("t.toml")).unwrap();
    assert!(drafted.contains("name = \"owner_code\"") && drafted.contains("name = \"n\""), "{drafted}");
    assert!(!directory.join("p").exists());
    let metadata = "title = \"Owners\"\nlicense = \"CC0-1.0\"\nupdate_frequency = \"R/P1M\"\nlanguages = [\"en-US\"]\n";
    std::fs::write(directory.join("m.toml"), metadata).unwrap();
    let more = ["--metadata", "m.toml", "--schema", "t.toml", "--description", "Who owns what"];
    let whole = [&publish[..], &STEWARD, &more].concat();
    check(directory, &whole, 2, "a dictionary");
    let first = drafted.replacen("description = \"\"", "description = \"Whose it is\"", 1);
    std::fs::write(directory.join("t.toml"), &first).unwrap();
    check(directory, &whole, 2, "what n mean");
    // What was refused is not left lying about.
    check(directory, &["revision", "list", "t", "--data", "p"], 0, "discarded");
    std::fs::write(directory.join("t.toml"), first.replace("description = \"\"", "description = \"How many\""))
        .unwrap();
    check(directory, &[&whole[..], &["--license", "NOPE"]].concat(), 1, "SPDX");
    check(directory, &whole, 0, "released t@1");
    // What is known need not be said again.
    std::fs::write(directory.join("t.csv"), "Owner Code,n\nz,3\n").unwrap();
    check(directory, &publish, 0, "released t@2");
    std::fs::write(directory.join("t.csv"), "Owner Code,n,More\nz,3,4\n").unwrap();
    check(directory, &publish, 2, "what more mean");
    std::fs::write(directory.join("m.json"), "{\"licence\": \"CC0-1.0\"}").unwrap();
    check(directory, &[&publish[..], &["--metadata", "m.json"]].concat(), 1, "licence");
}

#[test]
fn a_storage_without_its_catalog_is_no_portal() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    std::fs::write(directory.join("t.csv"), "species\nOak\nAsh\n").unwrap();
    std::fs::write(directory.join("t.toml"), "[[field]]\nname = \"species\"\ndescription = \"What grows\"\n").unwrap();
    // A portal in which nothing is released yet is backed up all the same.
    check(directory, &["token", "create", "ana", "--role", "cio", "--everywhere", "--data", "p"], 0, "");
    check(directory, &["backup", "young", "--data", "p"], 0, "0 files");
    let publish = ["publish", "t.csv", "--dataset", "t", "--schema", "t.toml", "--data", "p"];
    check(directory, &[&publish[..], &STEWARD, &SAID].concat(), 0, "released t@1");
    check(directory, &["backup", "kept", "--data", "p"], 0, "backup ");
    let catalog = directory.join("p/catalog.sqlite");
    assert!(catalog.exists());
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(directory.join("p").join(name));
    }
    let commands = |listen: &'static str| {
        [
            &["backup", "kept"][..],
            &["scrub"],
            &["serve", "--listen", listen],
            &["dataset", "list"],
            &["token", "create", "ana", "--role", "cio", "--everywhere"],
        ]
        .map(|command| [command, &["--data", "p"]].concat())
    };
    for command in commands("127.0.0.1:0") {
        check(directory, &command, 1, "the catalog is missing or empty");
        assert!(!catalog.exists(), "{command:?} has made one");
    }
    // The same where there is one, and it is another: what a wrong name of a database leads to.
    std::fs::write(&catalog, "").unwrap();
    for command in commands("127.0.0.1:0") {
        check(directory, &command, 1, "portico restore");
    }
    check(directory, &["check", "--data", "p"], 1, "WRONG catalog");
    check(directory, &["restore", "kept", "--data", "p"], 0, "t@1");
    check(directory, &["backup", "kept", "--data", "p"], 0, "backup ");
    check(directory, &["query", "select count(*) from t", "--data", "p"], 0, "2");
}

/// A server of the portal in `p`, which ends with the test.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_portico"))
            .current_dir(directory)
            .args(["serve", "--data", "p", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.find_map(|line| line.strip_prefix("portico ready ").map(str::to_owned)).unwrap();
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A step by a server: its exit code, and what it says.
fn by(server: &Server, directory: &Path, token: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_portico"))
        .current_dir(directory)
        .env("PORTICO_TOKEN", token)
        .args(arguments)
        .args(["--server", &server.url])
        .output()
        .unwrap();
    let text = said(&output);
    assert!(token.is_empty() || !text.contains(token), "{arguments:?}: {text}");
    (output.status.code().unwrap(), text)
}

/// A command of the holder of a token: how it ends, and what it says.
type Going<'a> = dyn Fn(&str, &[&str]) -> (i32, String) + 'a;

/// The source of a dataset that is public, declared by a steward and approved by a CIO.
fn a_source_is_declared_and_approved(directory: &Path, go: &Going, tokens: (&str, &str)) {
    let (ana, cy) = tokens;
    let fine = |token: &str, arguments: &[&str]| {
        let (code, text) = go(token, arguments);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    };
    let source = "[from]\nkind = 'https'\nurl = 'https://files.example/t.csv'\n";
    std::fs::write(directory.join("source.toml"), source).unwrap();
    let declared = fine(ana, &["source", "set", "trees", "--declaration", "source.toml", "--drop", "owner"]);
    let digest = declared.lines().find_map(|line| line.strip_prefix("digest ")).unwrap();
    assert!(declared.contains("trees source 1, declared by ana\nnot approved\n"), "{declared}");
    let (code, text) = go(ana, &["source", "approve", "trees", "--digest", digest]);
    assert!(code == 1 && text.contains("that wants the role cio"), "{text}");
    fine(cy, &["source", "approve", "trees", "--digest", digest]);
    assert!(fine(ana, &["source", "pause", "trees"]).contains("\npaused\n"));
    assert!(fine(ana, &["source", "resume", "trees"]).contains("read when somebody asks"));
    check(directory, &["source", "show", "trees", "--data", "p"], 0, "approved by cy");
}

#[test]
fn the_road_in_goes_by_a_server_with_a_token_for_each_person() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    std::fs::write(directory.join("t.csv"), "species,owner\nOak,x\nAsh,y\n").unwrap();
    std::fs::write(directory.join("t.toml"), "[[field]]\nname = \"species\"\ndescription = \"What grows\"\n").unwrap();
    let create = |name: &str, role: &str, more: &[&str]| {
        let command = ["token", "create", name, "--role", role, "--data", "p"];
        let output = portico(directory, &[&command[..], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let ana = create("ana", "steward", &["--department", "Parks"]);
    let cy = create("cy", "cio", &["--everywhere"]);
    check(directory, &["token", "create", "bo", "--role", "cio", "--data", "p"], 1, "--everywhere");
    check(directory, &["token", "create", "bo", "--role", "king", "--everywhere", "--data", "p"], 1, "--role wants");
    check(directory, &["token", "list", "--data", "p"], 0, "cio everywhere");

    let server = Server::start(directory);
    let go = |token: &str, arguments: &[&str]| by(&server, directory, token, arguments);
    let fine = |token: &str, arguments: &[&str]| {
        let (code, text) = go(token, arguments);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    };
    let stage = ["revision", "stage", "t.csv", "--dataset", "trees", "--department", "Parks", "--drop", "owner"];
    let staged = fine(&ana, &[&stage[..], &STEWARD].concat());
    let id = staged.split(' ').next().unwrap();
    fine(&ana, &["revision", "screen", id]);
    let (code, text) = go(&ana, &["revision", "submit", id]);
    assert!(code == 2 && text.contains("a licence: license") && text.contains("what species mean"), "{text}");
    fine(&ana, &[&["revision", "amend", id, "--schema", "t.toml", "--drop", "owner"], &SAID[..]].concat());
    let screened = fine(&ana, &["revision", "screen", id]);
    let digest = screened.lines().find_map(|line| line.strip_prefix("digest ")).unwrap();
    assert_eq!(fine(&ana, &["revision", "rows", id]), "{\"species\":\"Oak\"}\n{\"species\":\"Ash\"}\n");
    assert_eq!(fine(&ana, &["revision", "rows", id, "--offset", "1", "--all"]), "{\"species\":\"Ash\"}\n");
    let previewed = fine(&ana, &["preview", "trees"]);
    assert!(previewed.contains("2 rows, 1 columns") && previewed.contains("first release"), "{previewed}");
    assert!(previewed.contains(&format!("digest {digest}")), "{previewed}");
    fine(&ana, &["revision", "submit", id]);
    assert!(fine(&ana, &["revision", "review", id, "--recommend", digest]).contains("recommended by ana"));
    let (code, text) = go(&ana, &["revision", "approve", id, "--digest", digest]);
    assert!(code == 1 && text.contains("that wants the role cio"), "{text}");
    fine(&cy, &["revision", "approve", id, "--digest", digest]);
    assert_eq!(fine(&cy, &["revision", "release", id]), "released trees@1\n");
    assert!(fine(&ana, &["revision", "list", "trees"]).contains("released as trees@1"));
    assert!(fine(&ana, &["dataset", "list"]).contains("version 1"));
    a_source_is_declared_and_approved(directory, &go, (&ana, &cy));
    std::fs::write(directory.join("t.csv"), "species,owner\nOak,x\nElm,y\n").unwrap();
    let staged = fine(&ana, &stage);
    fine(&ana, &["revision", "screen", staged.split(' ').next().unwrap()]);
    let previewed = fine(&ana, &["preview", "trees"]);
    assert!(previewed.contains("1 unchanged, 1 added, 1 removed, 0 changed"), "{previewed}");
    assert!(previewed.contains("  + {\"species\":\"Elm\"}\n  - {\"species\":\"Ash\"}"), "{previewed}");
    let here = said(&portico(directory, &["preview", "trees", "--data", "p"]));
    assert_eq!(here, previewed);
    let document: serde_json::Value = serde_json::from_str(&fine(&ana, &["preview", "trees", "--json"])).unwrap();
    assert_eq!(document["difference"]["current_version"], 1);
    check(directory, &["preview", "trees", "--revision", id, "--data", "p"], 1, "once it is screened and until");
    check(directory, &["preview", "never", "--data", "p"], 1, "never");
    let (code, text) = go("", &["revision", "show", id]);
    assert!(code == 1 && text.contains("PORTICO_TOKEN"), "{text}");
    let cut: String = ana.chars().take(79).collect();
    let (code, text) = go(&cut, &["revision", "show", id]);
    assert!(code == 1 && text.contains("was it cut?"), "{text}");
    let tokens = said(&portico(directory, &["token", "list", "--data", "p"]));
    let token = tokens.lines().find(|line| line.contains(" ana ")).unwrap().split(' ').next().unwrap();
    check(directory, &["token", "revoke", token, "--data", "p"], 0, "of ana");
    let (code, text) = go(&ana, &["revision", "show", id]);
    assert!(code == 1 && text.contains("Sign in first"), "{text}");
    fine(&cy, &["dataset", "withdraw", "trees", "1", "--reason", "a mistake"]);
    check(directory, &["revision", "show", id, "--data", "p"], 0, "approved by cy");
}
