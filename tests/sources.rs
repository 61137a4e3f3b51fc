//! A department's data come by themselves: declared, approved once, released while they are like what is public, held
//! for people when they are not. The clock is the test's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_model::problem::ProblemKind;
use portico_model::revision::RevisionState;
use portico_publish::{
    Cycle, Declaration, FetchSettings, Fetcher, Mode, NoticeSettings, Origin, Places, Publisher, ReadOptions, Source,
    Sources, Tolerance,
};
use portico_store::RunRecord;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::world::{NOW_MS, World};

mod merging;
mod resting;

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A portal with a dataset that has a version, and a directory for what comes next.
struct Office {
    world: World,
    publisher: Publisher,
    place: tempfile::TempDir,
}

fn dataset() -> DatasetName {
    DatasetName::parse("street-trees").unwrap()
}

fn steward() -> Principal {
    Principal::Staff { name: "ana".to_owned(), roles: vec![Role::Steward], scope: Scope::All }
}

fn cio() -> Principal {
    Principal::Staff { name: "cy".to_owned(), roles: vec![Role::Cio], scope: Scope::All }
}

fn sources(place: &Path, fetcher: Fetcher, notices: NoticeSettings) -> Sources {
    let directories = [("trees".to_owned(), place.to_owned())].into();
    Sources { fetcher, places: Places { directories, ..Places::default() }, notices, limits: Default::default() }
}

fn trees(rows: u64) -> String {
    some_trees(0..rows)
}

fn some_trees(rows: std::ops::Range<u64>) -> String {
    let mut text = "tree_id,species\n".to_owned();
    for row in rows {
        text.push_str(&format!("{row:05},{}\n", ["Oak", "Ash", "Elm"][usize::try_from(row % 3).unwrap()]));
    }
    text
}

/// Every day at three in the morning, from the directory.
fn daily() -> Declaration {
    Declaration {
        from: Origin::Directory { directory: "trees".to_owned(), file: "trees*.csv".to_owned(), union: false },
        reading: ReadOptions::default(),
        cycle: Some(Cycle { cron: "0 3 * * *".to_owned(), time_zone: "America/New_York".to_owned(), jitter_s: 0 }),
        tolerance: Tolerance::default(),
    }
}

impl Office {
    async fn new() -> Self {
        Self::with(Fetcher::new(FetchSettings::default(), Default::default()), NoticeSettings::default()).await
    }

    async fn with(fetcher: Fetcher, notices: NoticeSettings) -> Self {
        let (world, place) = (World::new().await, tempfile::tempdir().unwrap());
        world.publish("street-trees", "trees.csv", trees(100).as_bytes()).await;
        let publisher = world.publisher.clone().with_sources(sources(place.path(), fetcher, notices));
        Self { world, publisher, place }
    }

    /// Somebody drops a file, long enough ago for the clock of the test.
    fn drop(&self, text: &str) -> PathBuf {
        self.drop_as("trees.csv", text)
    }

    fn drop_as(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place.path().join(name);
        std::fs::write(&path, text).unwrap();
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW_MS - HOUR_MS).unwrap());
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        path
    }

    async fn declare(&self, declaration: &Declaration) -> Source {
        self.publisher.declare_source(&steward(), &dataset(), declaration, NOW_MS).await.unwrap()
    }

    async fn approve(&self, source: &Source) {
        self.publisher.approve_source(&cio(), &dataset(), &source.record.digest, NOW_MS).await.unwrap();
    }

    async fn source(&self) -> Source {
        self.publisher.source(&steward(), &dataset(), NOW_MS).await.unwrap()
    }

    async fn refresh(&self, now_ms: i64) -> RunRecord {
        self.publisher.refresh_due(now_ms).await.unwrap().unwrap().run
    }

    async fn rows(&self) -> String {
        self.world.rows("select count(*) from street_trees").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_like_before_is_released_and_all_else_is_held() {
    let office = Office::new().await;
    office.drop(&trees(110));
    let source = office.declare(&daily()).await;
    assert_eq!((source.record.number, source.refresh.next_ms), (1, None));
    // Not before somebody else with the role has approved it.
    assert!(office.publisher.refresh_due(NOW_MS + 9 * DAY_MS).await.unwrap().is_none());
    let not_his = office.publisher.approve_source(&steward(), &dataset(), &source.record.digest, NOW_MS).await;
    assert_eq!(not_his.unwrap_err().kind(), ProblemKind::Forbidden);
    let both = Principal::Staff { name: "ana".to_owned(), roles: vec![Role::Cio], scope: Scope::All };
    let own = office.publisher.approve_source(&both, &dataset(), &source.record.digest, NOW_MS).await;
    assert_eq!(own.unwrap_err().kind(), ProblemKind::Forbidden);
    let other = office.publisher.approve_source(&cio(), &dataset(), "another", NOW_MS).await;
    assert_eq!(other.unwrap_err().kind(), ProblemKind::Conflict);
    office.approve(&source).await;

    let run = office.refresh(NOW_MS).await;
    assert_eq!((run.outcome.as_str(), run.version), ("released", Some(2)), "{:?}", run.reasons);
    assert_eq!(office.rows().await, "110\n");
    let version = office.world.store.catalog.version(&dataset(), 2).await.unwrap().unwrap();
    assert_eq!(version.approved_by, "cy");
    // Three in the morning in New York is eight in UTC; nothing before, and one run for days without any.
    let next = office.source().await.refresh.next_ms.unwrap();
    assert_eq!(next - NOW_MS / DAY_MS * DAY_MS, 8 * HOUR_MS);
    assert!(office.publisher.refresh_due(next - 1).await.unwrap().is_none());
    let late = next + 3 * DAY_MS + HOUR_MS;
    assert_eq!(office.refresh(late).await.outcome, "unchanged");
    assert!(office.publisher.refresh_due(late).await.unwrap().is_none());
    assert_eq!(office.source().await.refresh.next_ms, Some(next + 4 * DAY_MS));

    let mut now_ms = next + 4 * DAY_MS;
    let mut held = Vec::new();
    for (text, why) in [
        (trees(50), "it has 50 rows, the current version 110"),
        (trees(400), "it has 400 rows, the current version 110"),
        (trees(110).replace("species", "kind"), "column species is gone"),
        (trees(110).replace("Oak", ""), "column species has more nulls: 37 of 110 rows"),
    ] {
        office.drop(&text);
        let run = office.refresh(now_ms).await;
        assert_eq!(run.outcome, "held", "{why}");
        assert!(run.reasons.iter().any(|reason| reason == why), "{why}: {:?}", run.reasons);
        // What is public stays, and people find what waits.
        assert_eq!(office.rows().await, "110\n");
        let id = run.revision.unwrap();
        let seen = office.publisher.revision(&steward(), &id, now_ms).await.unwrap();
        assert_eq!((seen.state, seen.review.held), (RevisionState::InReview, run.reasons));
        held.push(id);
        // The same again is nothing new.
        now_ms += DAY_MS;
        assert_eq!(office.refresh(now_ms).await.outcome, "waiting");
        now_ms += DAY_MS;
    }
    // The last one waits; those before gave way to it. People let it through.
    for id in &held[..3] {
        let state = office.publisher.revision(&steward(), id, now_ms).await.unwrap().state;
        assert_eq!(state, RevisionState::Discarded);
    }
    let seen = office.publisher.revision(&steward(), &held[3], now_ms).await.unwrap();
    let digest = seen.digest.unwrap();
    office.publisher.recommend(&steward(), &held[3], (&digest, ""), now_ms).await.unwrap();
    office.publisher.approve(&cio(), &held[3], &digest, now_ms).await.unwrap();
    office.publisher.release(&cio(), &held[3], now_ms).await.unwrap();
    assert_eq!(office.world.rows("select count(species) from street_trees").await, "73\n");

    // What may not be released is blocked.
    let numbers = "tree_id,species\n".to_owned()
        + &(0..110).map(|row| format!("{row:05},{:03}-{:02}-{:04}\n", 501 + row, 12, 3400 + row)).collect::<String>();
    office.drop(&numbers);
    let run = office.refresh(now_ms).await;
    assert_eq!(run.outcome, "held", "{:?}", run.reasons);
    let blocked = office.publisher.revision(&steward(), &run.revision.unwrap(), now_ms).await.unwrap();
    assert_eq!(blocked.state, RevisionState::Blocked);
    assert_eq!(office.rows().await, "110\n");
    assert!(office.world.store.catalog.verify_audit().await.unwrap() > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_another_declaration_is_approved_again() {
    let office = Office::new().await;
    let source = office.declare(&daily()).await;
    assert_eq!(office.declare(&daily()).await.record.number, 1, "the same is no other");
    office.approve(&source).await;
    // There is no file: five times, later and later, then at the next time of the cycle.
    let mut now_ms = NOW_MS;
    let mut waits = Vec::new();
    for attempt in 1..=5 {
        let run = office.refresh(now_ms).await;
        assert_eq!(run.outcome, "failed", "{attempt}");
        let refresh = office.source().await.refresh;
        waits.push(refresh.next_ms.unwrap() - now_ms);
        assert_eq!(refresh.failures, attempt % 5);
        now_ms = refresh.next_ms.unwrap();
    }
    assert!(waits[..4].is_sorted() && waits[0] >= 30_000 && waits[3] <= 480_000 && waits[4] > HOUR_MS, "{waits:?}");
    office.drop(&trees(101));
    assert_eq!(office.refresh(now_ms).await.outcome, "released");

    // Somebody who holds it does not come back: another goes on when the time is over, and not before.
    let next = office.source().await.refresh.next_ms.unwrap();
    let catalog = &office.world.store.catalog;
    catalog.begin_refresh(&dataset(), "somebody", (next, HOUR_MS)).await.unwrap().unwrap();
    assert!(office.publisher.refresh_due(next + HOUR_MS - 1).await.unwrap().is_none());
    assert_eq!(office.refresh(next + HOUR_MS).await.outcome, "unchanged");

    // Declared otherwise, it is not read before it is approved again, and asking does not help.
    let other = Declaration { tolerance: Tolerance { fewer_rows_percent: 90, ..Tolerance::default() }, ..daily() };
    let source = office.declare(&other).await;
    assert_eq!((source.record.number, source.record.approved_by.clone()), (2, None));
    let asked = office.publisher.run_source(&steward(), &dataset(), next + DAY_MS).await;
    assert_eq!(asked.unwrap_err().kind(), ProblemKind::InvalidRequest);
    assert!(office.publisher.refresh_due(next + 9 * DAY_MS).await.unwrap().is_none());
    office.approve(&source).await;
    office.drop(&trees(20));
    assert_eq!(office.refresh(next + 9 * DAY_MS).await.outcome, "released");

    // It rests, goes on, and is asked.
    office.publisher.pause_source(&steward(), &dataset(), true, NOW_MS).await.unwrap();
    assert!(office.publisher.refresh_due(next + 99 * DAY_MS).await.unwrap().is_none());
    office.publisher.pause_source(&steward(), &dataset(), false, NOW_MS).await.unwrap();
    office.publisher.run_source(&steward(), &dataset(), NOW_MS).await.unwrap();
    assert_eq!(office.refresh(NOW_MS).await.outcome, "unchanged");
    let said = office.publisher.audit(&cio(), Some(&dataset()), (0, 1_000), NOW_MS).await.unwrap();
    for action in ["declared", "approved", "released", "failed", "paused", "resumed", "asked"] {
        assert!(said.iter().any(|entry| entry.action == format!("source.{action}")), "{action}");
    }
    let runs: Vec<_> = office.source().await.runs.into_iter().map(|run| run.outcome).collect();
    assert_eq!(runs.len(), 9, "{runs:?}");
}

#[tokio::test]
async fn all_files_of_a_name_are_released_as_one_table() {
    let office = Office::new().await;
    let from = Origin::Directory { directory: "trees".to_owned(), file: "trees*.csv".to_owned(), union: true };
    let source = office.declare(&Declaration { from, ..daily() }).await;
    office.approve(&source).await;
    office.drop_as("trees-2.csv", &some_trees(60..101));
    office.drop_as("trees-1.csv", &some_trees(0..60));
    assert_eq!(office.refresh(NOW_MS).await.outcome, "released");
    assert_eq!(office.rows().await, "101\n");
    let last = "select species from street_trees where tree_id = '00100'";
    assert_eq!(office.world.rows(last).await, "Ash\n");
    let wrong = office.drop_as("trees-3.csv", "tree_id,kind\n00101,Oak\n");
    let run = office.refresh(NOW_MS + DAY_MS).await;
    assert_eq!(run.outcome, "failed");
    assert!(run.reasons[0].contains("trees-3.csv has another header"), "{:?}", run.reasons);
    std::fs::remove_file(wrong).unwrap();
    office.drop_as("trees-3.csv", &some_trees(101..103));
    assert_eq!(office.refresh(NOW_MS + 2 * DAY_MS).await.outcome, "released");
    assert_eq!(office.rows().await, "103\n");
}

#[tokio::test]
async fn a_declaration_stays_within_what_the_operator_allows() {
    let office = Office::new().await;
    let from = |from| Declaration { from, ..daily() };
    let https = |url: &str| from(Origin::Https { url: url.to_owned() });
    let directory = |directory: &str, file: &str| {
        from(Origin::Directory { directory: directory.to_owned(), file: file.to_owned(), union: false })
    };
    let union = |file: &str, reading: ReadOptions| {
        let from = Origin::Directory { directory: "trees".to_owned(), file: file.to_owned(), union: true };
        Declaration { from, reading, ..daily() }
    };
    let cron = |cron: &str| Declaration {
        cycle: Some(Cycle { cron: cron.to_owned(), time_zone: "UTC".to_owned(), jitter_s: 0 }),
        ..daily()
    };
    let tolerance = Tolerance { fewer_rows_percent: 101, ..Tolerance::default() };
    for refused in [
        https("http://files.example/a.csv"),
        https("https://127.0.0.1/a.csv"),
        https("https://user:password@files.example/a.csv"),
        https("file:///etc/passwd"),
        directory("etc", "passwd"),
        directory("trees", "../passwd"),
        directory("trees", ""),
        directory("trees", ".hidden"),
        directory("trees", "*a*"),
        union("trees*.xlsx", ReadOptions::default()),
        union("trees*.csv", ReadOptions { header: Some(false), ..ReadOptions::default() }),
        union("trees*.csv", ReadOptions { mode: Mode::Append, ..ReadOptions::default() }),
        cron("every day"),
        Declaration { tolerance, ..daily() },
    ] {
        let error = office.publisher.declare_source(&steward(), &dataset(), &refused, NOW_MS).await.unwrap_err();
        assert_eq!(error.kind(), ProblemKind::InvalidRequest, "{refused:?}: {error}");
    }
    assert_eq!(
        office.publisher.source(&steward(), &dataset(), NOW_MS).await.unwrap_err().kind(),
        ProblemKind::NotFound
    );
    assert!(toml::from_str::<Declaration>("[from]\nkind = 'https'\nurl = 'x'\npassword = 'y'").is_err());
    let text = "[from]\nkind = 'https'\nurl = 'https://files.example/a.csv'\n[cycle]\ncron = '0 3 * * *'\n";
    assert!(
        office.publisher.declare_source(&steward(), &dataset(), &toml::from_str(text).unwrap(), NOW_MS).await.is_ok()
    );
}

/// A server that says of a file what it is told to, and keeps what was posted.
struct Server {
    address: std::net::SocketAddr,
    says: Arc<Mutex<String>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (says, heard) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(Vec::new())));
        let (answers, requests) = (Arc::clone(&says), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                loop {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        break;
                    }
                }
                requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                let answer = answers.lock().unwrap().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, says, heard }
    }

    fn say(&self, status: &str, head: &str, body: &str) {
        let length = body.len();
        *self.says.lock().unwrap() =
            format!("HTTP/1.1 {status}\r\n{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    }

    fn url(&self) -> String {
        format!("http://files.example:{}/trees.csv", self.address.port())
    }

    /// A fetcher for which every host is this server.
    fn fetcher(&self) -> Fetcher {
        let hosts = vec!["files.example".to_owned()];
        let settings = FetchSettings { allow_http: true, ports: vec![self.address.port()], hosts };
        let address = self.address;
        Fetcher::new(settings, Default::default()).with_lookup(move |_, _| Box::pin(async move { Ok(vec![address]) }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_asked_whether_it_has_changed() {
    let server = Server::new().await;
    let office = Office::with(server.fetcher(), NoticeSettings::default()).await;
    let source = office.declare(&Declaration { from: Origin::Https { url: server.url() }, ..daily() }).await;
    office.approve(&source).await;
    server.say("200 OK", "etag: \"1\"\r\n", &trees(102));
    assert_eq!(office.refresh(NOW_MS).await.version, Some(2));
    server.say("304 Not Modified", "", "");
    assert_eq!(office.refresh(NOW_MS + DAY_MS).await.outcome, "unchanged");
    assert!(server.heard.lock().unwrap().last().unwrap().contains("if-none-match: \"1\"\r\n"));
    // A server that keeps no tags sends the same bytes again: nothing new either.
    server.say("200 OK", "", &trees(102));
    assert_eq!(office.refresh(NOW_MS + 2 * DAY_MS).await.outcome, "unchanged");
    server.say("200 OK", "", "<html>Service is down for maintenance</html>");
    assert_ne!(office.refresh(NOW_MS + 3 * DAY_MS).await.outcome, "released");
    server.say("500 secret", "", "secret");
    let run = office.refresh(NOW_MS + 5 * DAY_MS).await;
    assert_eq!((run.outcome.as_str(), run.reasons), ("failed", vec!["the server answers with status 500".to_owned()]));
    assert_eq!(office.rows().await, "102\n");
    let reply = office.world.get("/datasets/street-trees.csv").await;
    assert_eq!(reply.status, StatusCode::OK);
}

/// A mail server that takes everything, and keeps what it took.
async fn mail_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 mail.example\r\n").await.unwrap();
            let (mut message, mut in_message) = (String::new(), false);
            while let Ok(Some(line)) = lines.next_line().await {
                if in_message && line != "." {
                    message.push_str(&line);
                    message.push('\n');
                    continue;
                }
                let answer = match line.get(..4).unwrap_or(&line) {
                    "." => {
                        in_message = false;
                        kept.lock().unwrap().push(std::mem::take(&mut message));
                        "250 taken\r\n"
                    }
                    "DATA" => {
                        in_message = true;
                        "354 go on\r\n"
                    }
                    "QUIT" => "221 bye\r\n",
                    "RCPT" => {
                        message.push_str(&line);
                        message.push('\n');
                        "250 ok\r\n"
                    }
                    _ => "250 ok\r\n",
                };
                if write.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    (url, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_and_told_again_until_it_is_taken() {
    let server = Server::new().await;
    let (mail_url, mails) = mail_server().await;
    let notices = NoticeSettings {
        mail_url,
        mail_from: "portal@city.example".to_owned(),
        webhook_url: server.url(),
        webhook_secret: "key".to_owned(),
        public_url: "https://data.example".to_owned(),
    };
    let office = Office::with(server.fetcher(), notices).await;
    let source = office.declare(&daily()).await;
    office.approve(&source).await;
    office.drop(&trees(10));
    let run = office.refresh(NOW_MS).await;
    assert_eq!(run.outcome, "held");
    server.say("503 Later", "", "");
    assert_eq!(office.publisher.send_notices(NOW_MS).await.unwrap(), 1);
    assert_eq!(office.publisher.send_notices(NOW_MS + 59_999).await.unwrap(), 0);
    server.say("204 No Content", "", "");
    assert_eq!(office.publisher.send_notices(NOW_MS + 60_000).await.unwrap(), 1);
    assert_eq!(office.publisher.send_notices(NOW_MS + DAY_MS).await.unwrap(), 0, "once is enough");

    let mails = mails.lock().unwrap().clone();
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    let id = run.revision.unwrap();
    for said in ["RCPT TO:<steward@city.example>", "street-trees: a refresh waits", "it has 10 rows", &id] {
        assert!(mail.contains(said), "{said}: {mail}");
    }
    let heard = server.heard.lock().unwrap().clone();
    let [first, second] = heard.as_slice() else { panic!("{heard:?}") };
    let key = |request: &str| request.lines().find(|line| line.starts_with("idempotency-key: ")).map(str::to_owned);
    assert!(key(first).is_some() && key(first) == key(second), "{first}\n{second}");
    assert!(second.lines().any(|line| line.starts_with("portico-signature: sha256=") && line.len() == 90), "{second}");
    let body: serde_json::Value = serde_json::from_str(second.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((body["kind"].as_str(), body["revision"].as_str()), (Some("held"), Some(id.as_str())));
}
