//! The jail around programs that are no readers: small scripts that do what a hostile file may make a reader do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema};
use portico_intake::options::ReadOptions;
use portico_model::limits::IntakeLimits;
use portico_model::manifest::ColumnStatistics;
use portico_model::problem::ProblemKind;
use portico_model::profile::{ColumnProfile, TableProfile};

use super::jail::{Jail, SOURCE};
use super::messages::{self, Said};
use crate::error::PublishError;
use crate::layout::WrittenFile;
use crate::rows::PREVIEW;
use crate::screening::{Progress, Screened};

struct Site {
    scratch: tempfile::TempDir,
    programs: tempfile::TempDir,
    jail: Jail,
    limits: IntakeLimits,
}

impl Site {
    /// A jail whose readers are a shell script.
    fn new(script: &str) -> Self {
        let (scratch, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(scratch.path().join(SOURCE), "a\n1\n").unwrap();
        let program = programs.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { scratch, programs, jail: Jail::new(program), limits: IntakeLimits::default() }
    }

    /// A jail whose readers say this and wait.
    fn saying(messages: &[Said]) -> Self {
        let site = Self::new("cat \"$(dirname \"$0\")/said\"; exec sleep 60");
        let said: Vec<u8> = messages.iter().flat_map(|said| messages::encode(said).unwrap()).collect();
        std::fs::write(site.programs.path().join("said"), said).unwrap();
        site
    }

    async fn read(&self) -> Result<Screened, PublishError> {
        self.jail.read(ReadOptions::named("t.csv").into(), &self.limits, self.scratch.path(), &mut |_| ()).await
    }
}

#[tokio::test]
async fn every_end_of_a_reader_is_a_refusal_with_its_reason() {
    let check = async |script: &str, expect: &str, kind: ProblemKind| {
        let error = Site::new(script).read().await.unwrap_err();
        assert!(error.to_string().contains(expect), "{script}: {error}");
        assert_eq!(error.kind(), kind, "{script}");
    };
    let (over, broken) = (ProblemKind::TooLarge, ProblemKind::InvalidRequest);
    check("kill -SEGV $$", "broke down", broken).await;
    check("exit 0", "broke down", broken).await;
    check("echo 'thread main panicked at x.rs:1:1: secret' >&2; exit 101", "broke down", broken).await;
    check("echo no message", "broke down", broken).await;
    check("head -c 100000000 /dev/zero", "broke down", broken).await;
    check("printf '\\377\\377\\377\\377'", "broke down", broken).await;
    check("echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$", "reader_memory_bytes = 1073741824", over)
        .await;
    check("kill -KILL $$", "reader_memory_bytes", over).await;
    check("kill -XCPU $$", "reader_cpu_ms = 60000", over).await;
    check("kill -XFSZ $$", "unpacked_bytes", over).await;
}

#[tokio::test]
async fn nothing_that_a_reader_writes_to_its_log_is_told() {
    let error = Site::new("echo 'panicked: secret' >&2; exit 101").read().await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret"));
}

#[tokio::test]
async fn a_reader_that_takes_too_long_is_ended() {
    let mut site = Site::new("echo $$ > pid; exec sleep 600");
    site.limits.reader_wall_ms = 200;
    let error = site.read().await.unwrap_err();
    assert!(error.to_string().contains("reader_wall_ms = 200"), "{error}");
    assert_gone(site.scratch.path()).await;
}

#[tokio::test]
async fn a_reader_ends_with_whoever_waits_for_it() {
    let site = Site::new("echo $$ > pid; exec sleep 600");
    let started = async {
        while std::fs::read_to_string(site.scratch.path().join("pid")).map_or(true, |pid| pid.trim().is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        read = site.read() => panic!("{read:?}"),
        () = started => {}
    }
    assert_gone(site.scratch.path()).await;
}

/// Waits until the process whose number is in `pid` is no more, or only its parent has not noticed.
async fn assert_gone(scratch: &Path) {
    let pid = std::fs::read_to_string(scratch.join("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    for _ in 0..2_000 {
        match std::fs::read_to_string(&stat) {
            Ok(text) if !text.contains(") Z ") => tokio::time::sleep(Duration::from_millis(5)).await,
            _ => return,
        }
    }
    panic!("the reader is still there");
}

/// An answer with one file that is there and holds what it says.
fn answer(scratch: &Path) -> Screened {
    std::fs::write(scratch.join("part-00000.parquet"), "12345").unwrap();
    std::fs::write(scratch.join(PREVIEW), "{\"a\":1}\n").unwrap();
    let column = ColumnProfile { name: "a".to_owned(), ..ColumnProfile::default() };
    Screened {
        schema: Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)])),
        rows: 2,
        findings: Vec::new(),
        profile: TableProfile { columns: vec![column], ..TableProfile::default() },
        sort_key: vec!["a".to_owned()],
        files: vec![WrittenFile {
            name: "part-00000.parquet".to_owned(),
            bytes: 5,
            sha256: "00".to_owned(),
            rows: 2,
            row_groups: vec![2],
            columns: vec![ColumnStatistics::default()],
        }],
    }
}

#[tokio::test]
async fn progress_and_the_answer_come_through() {
    let elsewhere = tempfile::tempdir().unwrap();
    let said = Said::Screened(Box::new(answer(elsewhere.path())));
    let site = Site::saying(&[Said::Progress(Progress::Reading(7)), Said::Progress(Progress::Writing(1, 2)), said]);
    answer(site.scratch.path());
    let mut seen = Vec::new();
    let options = ReadOptions::named("t.csv").into();
    let screened =
        site.jail.read(options, &site.limits, site.scratch.path(), &mut |progress| seen.push(progress)).await.unwrap();
    assert_eq!(seen, [Progress::Reading(7), Progress::Writing(1, 2)]);
    assert_eq!((screened.rows, screened.files.len()), (2, 1));
}

#[tokio::test]
async fn an_answer_that_does_not_hold_together_is_not_believed() {
    let check = async |change: &dyn Fn(&mut Screened, &Path)| {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut said = answer(elsewhere.path());
        change(&mut said, elsewhere.path());
        let site = Site::saying(&[Said::Screened(Box::new(said))]);
        answer(site.scratch.path());
        std::fs::create_dir(site.scratch.path().join("directory")).unwrap();
        std::os::unix::fs::symlink("part-00000.parquet", site.scratch.path().join("link")).unwrap();
        let error = site.read().await.unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    };
    let name = |said: &mut Screened, name: String| said.files[0].name = name;
    check(&|said, elsewhere| name(said, elsewhere.join("part-00000.parquet").display().to_string())).await;
    for bad in [
        "../part-00000.parquet",
        "./part-00000.parquet",
        "",
        ".",
        "..",
        "directory",
        "link",
        "missing",
        SOURCE,
        PREVIEW,
    ] {
        check(&|said, _| name(said, bad.to_owned())).await;
    }
    check(&|said, _| said.files[0].bytes = 6).await;
    check(&|said, _| said.files[0].rows = 1).await;
    check(&|said, _| said.files[0].row_groups = vec![u64::MAX, 3]).await;
    check(&|said, _| said.files[0].columns.clear()).await;
    check(&|said, _| said.files.clear()).await;
    check(&|said, _| said.sort_key = vec!["b".to_owned()]).await;
    check(&|said, _| said.profile.columns.clear()).await;
    check(&|said, _| said.schema = Arc::new(Schema::empty())).await;
}

#[tokio::test]
async fn first_rows_that_are_not_a_small_file_are_not_believed() {
    let changes: [&dyn Fn(&Path); 3] = [
        &|rows| std::fs::remove_file(rows).unwrap(),
        &|rows| {
            std::fs::remove_file(rows).unwrap();
            std::os::unix::fs::symlink(SOURCE, rows).unwrap();
        },
        &|rows| std::fs::write(rows, vec![b' '; 101]).unwrap(),
    ];
    for change in changes {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut site = Site::saying(&[Said::Screened(Box::new(answer(elsewhere.path())))]);
        site.limits.preview_bytes = 100;
        answer(site.scratch.path());
        site.read().await.unwrap();
        change(&site.scratch.path().join(PREVIEW));
        let error = site.read().await.unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_on_talking_is_ended_at_its_answer() {
    let refused = portico_model::problem::Problem::new(ProblemKind::InvalidRequest, "no table");
    let site = Site::saying(&[Said::Refused(refused.clone()), Said::Failed("never heard".to_owned())]);
    assert!(matches!(site.read().await, Err(PublishError::Refused(problem)) if problem == refused));
}
